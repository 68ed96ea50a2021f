/** Element types that a weights file may hold once a GGUF is unpacked. */
                                                 

/** Where a tensor's bytes lie: a window of a file, never copied. */
                            
                        
                              
                                                         
                                    
                                                        
                        
                          
                             
 
