import { batches,              } from './data/index.js';
import { fullSource, weightShapes } from './models/full-source.js';
                                                     
import {              providerFor } from './session/device.js';
import { SessionThread } from './session/session-thread.js';
import { buildTrainingStep } from './training-step.js';
import { badOption, checkLoopOptions,                defaultThreads,                   trainedState, trainingLoop,                } from './training-loop.js';

                                                       
                               
                                                                                                  
                                                      
                                        
                                     
                                         
                                       
 

/** Trains every weight of a small model: the same graph, with all weights as inputs. Returns the trained weights. */
export async function* trainFull(
  options                  ,
)                                                                                                      {
  const { config, weights, examples, batchSize, seed = 0, shuffle = true } = options;
  checkLoopOptions(options);
  const provider = providerFor(options.device ?? 'auto');
  const source = fullSource(config);
  const optimizer = { clipGradNorm: options.clipGradNorm || undefined, weightDecay: options.weightDecay ?? 0 };
  const shapes = weightShapes(config);
  await using thread = new SessionThread({ provider, threads: options.threads ?? defaultThreads() });
  await thread.setState(
    trainedState(
      [...shapes].map(([name, shape]) => {
        const values = weights.get(name);
        if (!values) throw badOption('weights', `without ${name}`, 'every weight of the configuration');
        return [name, values, shape];
      }),
    ),
  );
  const consumed = yield* trainingLoop(
    thread,
    batches(examples, { batchSize, seed, shuffle })[Symbol.iterator](),
    config.vocabSize,
    (shape) => buildTrainingStep(config, shape, source, optimizer, provider.target),
    options,
  );
  return { weights: await thread.readState([...shapes.keys()]), ...consumed };
}
