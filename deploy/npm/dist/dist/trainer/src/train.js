import {                     gatherFactor, scatterFactor,                    } from '../../shared/src/index.js';
import { batches,              } from './data/index.js';
import { frozenFactor, frozenInput, trainedInput } from './adapters/lora-inputs.js';
import { loraSource } from './adapters/lora-source.js';
import { frozenWeights } from './models/frozen-weights.js';
                                               
import {              providerFor } from './session/device.js';
                                                        
import { SessionThread } from './session/session-thread.js';
import { buildTrainingStep } from './training-step.js';
import { badOption, checkLoopOptions, defaultThreads,                   trainedState, trainingLoop,                } from './training-loop.js';

                                                   
                                                    
                                 
                                                  
                                 
                                        
                                                       
                                              
                                     
                                                      
                                         
                                       
 

                              
                                 
                                                                                               
                          
                            
 

/** Fine-tunes LoRA factors: yields after each step, returns the trained adapter. */
export async function* train(options              )                                               {
  const { model, layout, adapter, examples, trains = 'both', batchSize, seed = 0, shuffle = true } = options;
  checkLoopOptions(options);
  if (adapter.length !== layout.size) throw badOption('adapter', `${adapter.length} values`, `${layout.size} values`);
  const provider = providerFor(options.device ?? 'auto');
  const weights = frozenWeights(model.tensors);
  const source = loraSource(weights, layout, trains);
  const optimizer = { clipGradNorm: options.clipGradNorm || undefined, weightDecay: options.weightDecay ?? 0 };
  const threads = options.threads ?? defaultThreads();
  await using thread = new SessionThread({ provider, threads, weightsFolder: weights.folder });
  await thread.setState(adapterState(layout, adapter, trains));
  const consumed = yield* trainingLoop(
    thread,
    batches(examples, { batchSize, seed, shuffle })[Symbol.iterator](),
    model.config.vocabSize,
    (shape) => buildTrainingStep(model.config, shape, source, optimizer, provider.target),
    options,
  );
  const trained = (await thread.readState([trainedInput])).get(trainedInput) ?? new Float32Array();
  return { adapter: scatterFactor(layout, adapter, trains, trained), ...consumed };
}

function adapterState(layout               , adapter              , trains               )               {
  const values = gatherFactor(layout, adapter, trains);
  const frozen = frozenFactor(trains);
  const still = frozen && gatherFactor(layout, adapter, frozen);
  return [
    ...trainedState([[trainedInput, values, [values.length]]]),
    ...(still ? [{ name: frozenInput, shape: [still.length], data: still }] : []),
  ];
}
