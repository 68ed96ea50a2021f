import {                     createSeededRandom } from '../../../shared/src/index.js';

/**
 * PEFT's initial adapter: A Kaiming-uniform with a = √5, that is uniform in ±1/√in, and B zero, so that the adapted
 * model starts as the base model. The same seed gives the same bits.
 */
export function initAdapter(layout               , seed        )               {
  const random = createSeededRandom(`adapter/${seed}`);
  const values = new Float32Array(layout.size);
  for (const { factor, shape, offset } of layout.tensors) {
    if (factor === 'B') continue;
    const [rank, inFeatures] = shape;
    const bound = 1 / Math.sqrt(inFeatures);
    for (let index = 0; index < rank * inFeatures; index++) values[offset + index] = (2 * random.uniform() - 1) * bound;
  }
  return values;
}
