                                           
                                            
                                       

/** What one phase of a running run does by itself. */
                        
                                                                                                                 
                            
                                                                      
                                             
                                                                    
                                          
 

export const earliest = (...times                        )                     => {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
};
