                                                                                              
                                                           

                                                                                              

/** How patient the machine is. All of it concerns progress, none of it a single call. */
                              
                                                              
                           
                                                                                       
                            
                                                                              
                                
                                                
                                      
                                                                                          
                           
                                  
                                                                                 
                               
 

export const defaultTiming              = {
  leaseMs: 30_000,
  settleMs: 1_000,
  medianFactor: 2,
  shortestDeadlineMs: 10_000,
  retryMs: 1_000,
  longestRetryMs: 60_000,
  failedTries: 8,
};

                                                                                                    

                              
                                   
                             
                              
                           
                              
                           
                                   
 

                                 
                             
                                
                          
                            
                                   
                          
 

/**
 * One run. All but the last block follows from the event table alone, so folding the rows again gives it back.
 */
                           
                        
                         
                                
                               
                                
                             
                                    
                                   
                            
                                                         
                         
                                 
                                   
                               
                           
                                      
                             
                                                   
                                          
                                                          
                                     
                             
                            
                                
                                    
                              
                                                       
                                            
                                      

                                                    
                                                                      
                                                
                                                  
                                           
                                
 

export const hasEnded = (state          )          =>
  state.lifecycle === 'finished' || state.lifecycle === 'stopped' || state.lifecycle === 'aborted';

/** The phase whose facts are still taken, also while the run is paused. */
export const activePhase = (state          )             => (state.phase === 'paused' ? state.resumePhase : state.phase);

export const nodesIn = (state          , ...stages                    )           =>
  [...state.participants].filter(([, { stage }]) => stages.includes(stage)).map(([nodeId]) => nodeId);

export const median = (values                   )                     => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
};

/** Whether another node may work in this round: no update beyond the maximum is taken. */
export const hasRoom = (state          )          => nodesIn(state, 'offered', 'ready', 'accepted').length < state.spec.cohort.maximum;
