/** Names of gRPC status codes that the catalogue uses. */
                            
                      
               
                    
                       
                     
                        
                         
             
                  
                   
              
                 
                

/**
 * Exit codes of the command line: 1 a fault of ours, 2 wrong usage or configuration, 3 bad input data,
 * 4 refused by the other side, 5 not reachable, 6 the machine lacks something (disk, memory, port, runtime).
 */
                                             

                             
                                
                        
                          
                                                    
                        
                                                                  
                          
 

/** Keeps the literal codes as keys and checks each row. */
export const defineErrors =                                                       (entries   )    => entries;
