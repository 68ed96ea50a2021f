                                         

/** What a file under commands/ exports as `command`. */
                                
                                                                              
                                                            
                                                    
                                    
 

/** A line of commands/index.ts: the words, one sentence, and where the rest is, loaded only when it is this one's turn. */
                               
                                                 
                           
                                                       
 
