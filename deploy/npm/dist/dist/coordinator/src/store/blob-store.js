                                           
                                            

/** Content-addressed bytes that outlive the process: adapters, and updates until their round is committed. */
                            
                                                                           
                                            
                                               
                                                         
                                                              
                                                  
                                              
                                        
                            
                                                                                                          
                                                  
                                                 
                                              
                                    
                                             
 

/** A blob that is still arriving. What was written is kept across restarts as far as the disk got it. */
                              
                             
                 
                                          
                                             
                                             
     
                                                            
                                                                                   
                                                                                              
     
                                                                                 
                         
                         
 

export const pieceBytes = 1 << 20;

const partialName = /^[A-Za-z0-9_-]{1,200}$/;
export const isPartialName = (name        )          => partialName.test(name);
