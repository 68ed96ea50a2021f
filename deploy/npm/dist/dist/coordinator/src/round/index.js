export { evolve, initialState } from './evolve.js';
export { checkUpload } from './facts.js';
                                                                 
export { activePhase, defaultTiming, hasEnded,                                                      } from './state.js';
export { step } from './step.js';
                                             
