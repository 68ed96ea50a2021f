import { availableParallelism } from 'node:os';
import { WeftError } from '../../shared/src/index.js';
                                               
                                                    
import {                    encodeBatch } from './objectives/causal-lm.js';
import { bucketFor } from './objectives/sequence-buckets.js';
import { adamwScalars, firstMoment, secondMoment } from './optim/adamw.js';
import {                scheduleFactor, schedules } from './optim/schedule.js';
                                                        
                                                                 

                            
                        
                        
                                                    
                        
                                                                                                 
                                   
 

                              
                         
                             
                                  
                                
                                           
                                            
                                            
                                                                                      
                                             
                                        
                                                                                           
                                                                                                    
                                            
 

export const defaultThreads = ()         => availableParallelism();

/** What a loop has consumed; rows that came twice count twice. */
                           
                          
                            
 

/**
 * Steps on the thread's state, one batch each. A session for each sequence length is opened when the first batch needs
 * it; `build` writes its model.
 */
export async function* trainingLoop(
  thread               ,
  batches                              ,
  vocabSize        ,
  build                                   ,
  options             ,
)                                            {
  const { steps, batchSize, sequenceLength, signal } = options;
  const opened = new Set        ();
  let consumed           = { tokens: 0, examples: 0 };
  let endOfLastStep = performance.now();
  for (let step = 1; step <= steps; step++) {
    signal?.throwIfAborted();
    const next = batches.next();
    if (next.done) break;
    const rows = next.value;
    const bucket = bucketFor(Math.max(...rows.map(({ inputIds }) => inputIds.length)), sequenceLength);
    const batch = encodeBatch(rows, { batchSize, sequenceLength: bucket, vocabSize, reduction: 'mean' });
    if (batch.countedTokens === 0) throw nothingCounted(step, rows.length);
    if (!opened.has(bucket)) {
      await thread.open(`step-${bucket}`, build({ batchSize, sequenceLength: bucket }));
      opened.add(bucket);
    }
    const results = await thread.run(`step-${bucket}`, [...batchFeeds(batch), ...optimizerFeeds(step, options)]);
    const [loss, gradientNorm] = [results.get('loss')?.[0] ?? Number.NaN, results.get('gradientNorm')?.[0] ?? Number.NaN];
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) throw diverged(step, loss, gradientNorm, rateAt(step, options));
    consumed = { tokens: consumed.tokens + batch.realTokens, examples: consumed.examples + rows.length };
    const now = performance.now();
    const tokensPerSecond = (1000 * batch.realTokens) / (now - endOfLastStep);
    endOfLastStep = now;
    yield { step, loss, tokensPerSecond };
  }
  return consumed;
}

/** Zero moments for trained tensors of these sizes, beside the tensors themselves. */
export const trainedState = (tensors                                                                                   )               =>
  [...tensors].flatMap(([name, data, shape]) => [
    { name, shape, data },
    { name: firstMoment(name), shape, data: new Float32Array(data.length) },
    { name: secondMoment(name), shape, data: new Float32Array(data.length) },
  ]);

export function batchFeeds({ inputIds, targets, rowWeights }              )               {
  const shape = [inputIds.length];
  return [
    { name: 'inputIds', shape, data: inputIds },
    { name: 'targets', shape, data: targets },
    { name: 'rowWeights', shape, data: rowWeights },
  ];
}

export function checkLoopOptions(options             )       {
  const whole = ['steps', 'batchSize', 'sequenceLength']         ;
  for (const name of whole) {
    if (!Number.isSafeInteger(options[name]) || options[name] < 1) throw badOption(name, options[name], 'a whole number from 1');
  }
  const { learningRate, schedule = 'constant' } = options;
  if (!(learningRate >= 0 && Number.isFinite(learningRate))) throw badOption('learningRate', learningRate, 'a number from 0');
  for (const name of ['warmupSteps', 'weightDecay', 'clipGradNorm']         ) {
    const value = options[name] ?? 0;
    if (!(value >= 0 && Number.isFinite(value))) throw badOption(name, value, 'a number from 0');
  }
  if (!schedules.includes(schedule)) throw badOption('schedule', schedule, schedules.join(', '));
}

export const badOption = (name        , value         , range        )            =>
  new WeftError('WEFT_TRAINING_BAD_OPTION', `${name} is ${String(value)}, it can be ${range}`, { option: name });

function rateAt(step        , { learningRate, schedule = 'constant', warmupSteps = 0, scheduleOffset, steps }             )         {
  const { startStep, totalSteps } = scheduleOffset ?? { startStep: 0, totalSteps: steps };
  return learningRate * scheduleFactor(schedule, startStep + step - 1, warmupSteps, totalSteps);
}

const optimizerFeeds = (step        , options             )               =>
  Object.entries(adamwScalars(step, rateAt(step, options), options.weightDecay ?? 0)).map(([name, value]) => ({
    name,
    shape: [],
    data: Float32Array.of(value),
  }));

const nothingCounted = (step        , rows        )            =>
  new WeftError('WEFT_TRAINING_NOTHING_COUNTED', `step ${step}: none of the tokens in the batch's ${rows} rows counts`, { step, rows });

function diverged(step        , loss        , gradientNorm        , rate        )            {
  const cause =
    step === 1
      ? 'the base model or the adapter that training starts from holds values that are not finite'
      : `the learning rate of ${rate} is probably too high`;
  const what = `step ${step}: the loss is ${loss} and the gradient norm ${gradientNorm}; ${cause}`;
  return new WeftError('WEFT_TRAINING_DIVERGED', what, { step, loss, gradientNorm, learningRate: rate });
}
