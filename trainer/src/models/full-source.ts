import { elementCount } from '../graph/shape.ts';
import { families } from './families.ts';
import type { ParameterSource } from './llama.ts';
import type { ModelConfig } from './model.ts';
import { weightShapes } from './weight-shapes.ts';
import { createSeededRandom } from '@weft/shared';

/** Norms' gains 1, biases 0, everything else normal with deviation 0.02, as transformers initialises a Llama. The same seed gives the same bits. */
export function initWeights(config: ModelConfig, seed: number): Map<string, Float32Array> {
  const random = createSeededRandom(`weights/${seed}`);
  // Box and Muller's transform; 1 − u keeps the logarithm finite.
  const normal = (): number =>
    Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
  const gain = families[config.family].centredNorms ? 0 : 1;
  return new Map(
    [...weightShapes(config)].map(([name, shape]) => {
      const count = elementCount(shape);
      if (shape.length === 1) return [name, new Float32Array(count).fill(name.endsWith('.bias') ? 0 : gain)];
      return [name, Float32Array.from({ length: count }, () => 0.02 * normal())];
    }),
  );
}

/** Every weight is an input, and every one is trained. */
export const fullSource = (config: ModelConfig): ParameterSource => ({
  parametersIn(graph) {
    const trained = new Map(
      [...weightShapes(config)].map(([name, shape]) => [name, graph.input(name, 'float32', shape)] as const),
    );
    return {
      trained,
      lora: () => undefined,
      weight(name) {
        const value = trained.get(name);
        if (!value) throw new RangeError(`the model has no tensor ${name}`);
        return value;
      },
    };
  },
});
