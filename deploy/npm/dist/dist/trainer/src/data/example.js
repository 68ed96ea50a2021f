/** One row of training data. A label of −100 does not count; labels are not shifted: position t predicts labels[t+1]. */
                          
                                
                              
 
