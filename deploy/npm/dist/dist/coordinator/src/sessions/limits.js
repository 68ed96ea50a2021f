/** What a session and a transfer may take. Every limit has its reason beside it. */
                                
                                                                                                                    
                                
                                                                                                                          
                              
                                                                                                               
                                        
                                                                               
                                    
                                                                                                   
                            
                                                                                                          
                               
                                                   
                               
                                                                               
                          
                                                                                     
                         
                                                                                    
                              
                                                                                   
                                  
 

export const defaultLimits                = {
  messageBytes: 256 * 1024,
  chunkBytes: 1 << 20,
  streamsPerConnection: 16,
  transfersPerNode: 8,
  sessions: 4096,
  handshakeMs: 10_000,
  heartbeatMs: 10_000,
  idleMs: 60_000,
  ageMs: 24 * 3600 * 1000,
  queueBytes: 4 << 20,
  transferIdleMs: 60_000,
};
