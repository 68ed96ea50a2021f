                                                           
                                                                                   
                                                              

/** What the coordinator says within a session; the gateway adds session id, sequence number and signature. */
                                                                                                     
/** What a node said, after signature, session id and sequence number held. */
                                           

/** The sessions that are open now. Implemented by the gRPC server, used by the runs. */
                              
                                 
                                                                         
                                                          
                                                
                                               
 

/** What sessions and transfers tell the runs. Implemented by the runs, called by the gRPC server. */
                           
                                      
                                         
                                                                                                                            
                                                         
                                                                          
                                                                                                        
                                                         
                                                                                                
                                                                                    
                                                                                                                      
 

                             
                                                                             
                                          
                                                                                     
                              
                                                          
                           
 

                              
                                 
                              
 
