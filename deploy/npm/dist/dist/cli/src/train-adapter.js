import process from 'node:process';
import { createAdapterLayout, WeftError,                                     } from '../../shared/src/index.js';
import {
  encodeRecords,
  initAdapter,
  loadAdapter,
  openModel,
  readRecords,
  saveAdapter,
  train,
             
} from '../../trainer/src/index.js';
import { onInterrupt } from './interrupt.js';
                                                       
import { createProgress } from './progress.js';
import { tokenReport } from './token-report.js';

/** The flags of `weft train`. */
                                                    
                                   
                       
                         
                          
                                           
                      
                         
                       
                          
                           
                               
                          
                            
                                                      
                        
                                
                            
                       
 

const defaults = { rank: 8, alpha: 16, targets: ['q_proj', 'v_proj']                          };

                   
                                 
                                
 

/** A flag that says something else than the adapter that was named cannot be obeyed. */
const refuseDisagreement = (layout               , { rank, alpha, targets }              , folder        )       => {
  const asked = { rank, alpha, targets: targets?.join(',') };
  const found = { rank: layout.rank, alpha: layout.alpha, targets: layout.targets.join(',') };
  for (const flag of ['rank', 'alpha', 'targets']         ) {
    if (asked[flag] !== undefined && asked[flag] !== found[flag]) {
      throw new WeftError(
        'WEFT_ADAPTER_FLAG_DISAGREES',
        `--${flag} says ${asked[flag]}, the adapter in ${folder} has ${found[flag]}`,
      );
    }
  }
};

const startAdapter = async (model       , options              )                   => {
  if (options.initAdapter !== undefined) {
    const { layout, values } = await loadAdapter(options.initAdapter, model);
    refuseDisagreement(layout, options, options.initAdapter);
    return { layout, values };
  }
  const layout = createAdapterLayout(model.config, {
    rank: options.rank ?? defaults.rank,
    alpha: options.alpha ?? defaults.alpha,
    targets: options.targets ?? defaults.targets,
  });
  return { layout, values: initAdapter(layout, options.seed) };
};

const stepsOf = ({ steps, epochs, batch }              , examples        )         =>
  steps ?? (epochs ?? 1) * Math.ceil(examples / batch);

/** Trains and writes the adapter; the steps go to standard output as JSON lines, or to a bar. */
export const trainAdapter = async (options              )                => {
  const signal = onInterrupt('finishing the current step');
  const model = await openModel(options.model, {
    ...(options.cache === undefined ? {} : { cacheDir: options.cache }),
    signal,
  });
  const records = await readRecords([...options.data]);
  const { examples, report } = encodeRecords(records, model.tokenizer, { sequenceLength: options.seq });
  process.stderr.write(`${tokenReport(report, options.seq)}\n`);
  const adapter = await startAdapter(model, options);
  const steps = stepsOf(options, examples.length);

  const progress = options.json ? undefined : createProgress();
  const bar = progress?.bar('train', steps);
  const training = train({
    model,
    layout: adapter.layout,
    adapter: adapter.values,
    examples,
    steps,
    batchSize: options.batch,
    sequenceLength: options.seq,
    learningRate: options.lr,
    schedule: options.schedule,
    warmupSteps: options.warmup,
    weightDecay: options.weightDecay,
    clipGradNorm: options.clipGrad,
    trains: 'both',
    seed: options.seed,
    shuffle: options.shuffle,
    threads: options.threads,
    device: options.device,
    signal,
  });
  let result = await training.next();
  while (result.done !== true) {
    const { step, loss, tokensPerSecond } = result.value;
    if (options.json) process.stdout.write(`${JSON.stringify({ step, loss, tokensPerSecond })}\n`);
    bar?.update(step, `loss ${loss.toFixed(4)}  ${tokensPerSecond.toFixed(0)} tokens/s`);
    result = await training.next();
  }
  bar?.finish();
  progress?.close();
  await saveAdapter(options.out, model, adapter.layout, result.value.adapter);
  process.stderr.write(`wrote the adapter to ${options.out} (adapter_config.json, adapter_model.safetensors)\n`);
};
