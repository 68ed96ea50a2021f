import {                     WeftError } from '../../shared/src/index.js';
                                               
import { trainedInput } from './adapters/lora-inputs.js';
import { loraSource } from './adapters/lora-source.js';
import { frozenWeights } from './models/frozen-weights.js';
                                               
import { encodeBatch } from './objectives/causal-lm.js';
import { bucketFor } from './objectives/sequence-buckets.js';
import {              providerFor } from './session/device.js';
import { SessionThread } from './session/session-thread.js';
import { buildEvaluation } from './training-step.js';
import { badOption, batchFeeds, defaultThreads } from './training-loop.js';

                                  
                                                    
                                                                                
                                              
                                              
                                        
                                          
                                        
                                       
                                            
 

/** Sum of the losses of all counted tokens, in nats, and their number. */
                             
                           
                          
 

/** Scores examples with the forward pass alone. */
export async function evaluate(options                 )                      {
  const { model, layout, adapter, signal, batchSize = 4 } = options;
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) throw badOption('batchSize', batchSize, 'a whole number from 1');
  if (adapter?.length !== layout?.size) {
    throw badOption('adapter', `${adapter?.length ?? 'no'} values`, `${layout?.size ?? 'no'} values`);
  }
  const provider = providerFor(options.device ?? 'auto');
  const weights = frozenWeights(model.tensors);
  const source = loraSource(weights, layout, 'both');
  // Rows of like length share a batch, so that little is computed for padding; a sum does not mind the order.
  const examples = options.examples.toSorted((a, b) => a.inputIds.length - b.inputIds.length);
  const longest = examples.at(-1)?.inputIds.length ?? 0;
  const threads = options.threads ?? defaultThreads();
  await using thread = new SessionThread({ provider, threads, weightsFolder: weights.folder });
  if (adapter) await thread.setState([{ name: trainedInput, shape: [adapter.length], data: adapter }]);
  const opened = new Set        ();
  let lossSum = 0;
  let tokens = 0;
  for (let start = 0; start < examples.length; start += batchSize) {
    signal?.throwIfAborted();
    const rows = examples.slice(start, start + batchSize);
    const sequenceLength = bucketFor(rows.at(-1)?.inputIds.length ?? 0, longest);
    const batch = encodeBatch(rows, { batchSize, sequenceLength, vocabSize: model.config.vocabSize, reduction: 'sum' });
    if (batch.countedTokens === 0) continue;
    const session = `evaluation-${sequenceLength}`;
    if (!opened.has(sequenceLength)) {
      await thread.open(session, buildEvaluation(model.config, { batchSize, sequenceLength }, source, provider.target));
      opened.add(sequenceLength);
    }
    const loss = (await thread.run(session, batchFeeds(batch))).get('loss')?.[0] ?? Number.NaN;
    if (!Number.isFinite(loss)) {
      throw new WeftError('WEFT_TRAINING_DIVERGED', `evaluation: the loss is ${loss}; the base model or the adapter holds values that are not finite`, { loss });
    }
    lossSum += loss;
    tokens += batch.countedTokens;
  }
  if (tokens === 0) {
    const what = `evaluation: none of the tokens in ${examples.length} examples counts`;
    throw new WeftError('WEFT_TRAINING_NOTHING_COUNTED', what, { examples: examples.length });
  }
  return { lossSum, tokens };
}
