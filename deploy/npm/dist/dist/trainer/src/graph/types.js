/** What a tensor in a graph may hold. float16 and bfloat16 occur only as frozen weights, widened before use. */
                                                                       

                             
                              
                                    
 

/** One tensor of a graph. Every dimension is known when the graph is built. */
                                           
                        
                          
                                                     
                                           
 

/** One application of an operator. */
                            
                        
                                
                              
                                    
                                     
                               
 

/** What operator calls and gradient rules need of a graph. */
                          
                                                                                                            
                                                                                
 

/** A row of the operator table. */
                                                 
                                                                                                    
                                                                                      
                                           
                                                                       
                                                                                                  
                                                                                                 
     
                                                                                                                       
                                                                                                                     
     
                                                                                        
                                                                                                           
                            
 

                                                               

                                  
                                                                
                              
                                                                 
                               
                                                               
                        
                                                                                 
                                
                                             
 

/** Names of the ONNX values that an operator reads and must produce. */
                              
                                     
                                      
                                             
                                              
 

/** Integers, floats (marked, since JavaScript has one kind of number), lists of integers, strings. */
                                                                                             

/**
 * Which kernels may be used: `cpu` has ONNX Runtime's own fused ones, `portable` is standard ONNX that every execution
 * provider runs.
 */
                                            

                          
                              
                                                                                                        
                                                                                     
                                                               
                                                                                                                          
                            
                 
                                                                  
                                                                                 
 

                                  
                                                                
                           
                           
 
