import { WeftError } from '../../../shared/src/index.js';
                                                   
import { randomOrder } from './random-order.js';

                               
                             
                        
                                                                                                     
                            
 

/**
 * Batches without end, always full: one epoch's rows follow the other's, so a batch may hold the last rows of one and
 * the first of the next, and with fewer rows than `batchSize` a row comes twice.
 */
export function* batches(examples                    , { batchSize, seed, shuffle }              )                              {
  if (examples.length === 0) throw new WeftError('WEFT_DATA_EMPTY', 'there is no row to train on');
  if (!Number.isInteger(batchSize) || batchSize < 1) throw new WeftError('WEFT_USAGE', `a batch has ${batchSize} rows, 1 is the least`, { batchSize });
  const rows = rowsForever(examples, seed, shuffle);
  for (;;) yield Array.from({ length: batchSize }, () => rows.next().value);
}

function* rowsForever(examples                    , seed        , shuffle         )                            {
  for (let epoch = 0; ; epoch++) {
    const order = shuffle ? randomOrder(examples.length, `${seed}.${epoch}`) : examples.keys();
    for (const row of order) yield examples[row]           ;
  }
}
