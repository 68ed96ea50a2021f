/** What a session thread and its owner say to each other. Tensors cross as plain arrays, buffers are moved. */
                             
                        
                                    
                                              
 

                     
                                                                                                                       
                                                                          
                                                                                             
                                                                     
                               

                                  
                            
                           
                                                
                                             
 

/** Results of `run` are its outputs that are no state; of `readState` copies of the tensors asked for. */
                   
                                                                    
                                                    

                                                      
