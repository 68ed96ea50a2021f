import type { Graph } from '../graph/graph.ts';
import { sizeAt } from '../graph/shape.ts';
import type { Value } from '../graph/types.ts';
import { blockProduct, blockSums, gatherBlocks, split } from '../ops/calls.ts';
import { blockLength, type BlockTensor, type BlockTensors, namesOfStack } from '../weights/blocks/block-tensor.ts';
import type { FrozenWeights } from './frozen-weights.ts';
import type { ParameterSource } from './llama.ts';
import type { ModelConfig } from './model.ts';
import { weightShapes } from './weight-shapes.ts';

/** A source whose linear weights are, as far as there are such, matrices in blocks. */
export const blockSource = (
  source: ParameterSource,
  weights: FrozenWeights,
  blocks: BlockTensors,
  config: ModelConfig,
): ParameterSource => ({
  parametersIn(graph) {
    const shapes = weightShapes(config);
    const places = new Map(
      [...blocks].flatMap(([key, tensor]) =>
        namesOfStack(key).map((name, index, names) => [name, { key, tensor, index, names }] as const),
      ),
    );
    // What rows have been multiplied with already: a stack's product gives the parts of all its matrices.
    const products = new WeakMap<Value, Map<string, readonly Value[]>>();
    const sums = new WeakMap<Value, Value>();
    const sumsOf = (x: Value): Value => {
      const known = sums.get(x) ?? blockSums(x, blockLength);
      sums.set(x, known);
      return known;
    };
    return {
      ...source.parametersIn(graph),
      product(name, x) {
        const place = places.get(name);
        if (!place) return undefined;
        const known = products.get(x) ?? new Map<string, readonly Value[]>();
        products.set(x, known);
        const { key, tensor, index, names } = place;
        const parts =
          known.get(key) ?? split(product(graph, weights, key, tensor, x, sumsOf), 1, rowsOf(shapes, names));
        known.set(key, parts);
        return parts[index];
      },
      rows(name, indices) {
        const place = places.get(name);
        return place && gather(graph, weights, place.key, place.tensor, indices);
      },
    };
  },
});

const rowsOf = (shapes: ReadonlyMap<string, readonly number[]>, names: readonly string[]): number[] =>
  names.map((name) => shapes.get(name)?.[0] ?? 0);

function product(
  graph: Graph,
  weights: FrozenWeights,
  key: string,
  { form, shape: [out, width], codes, scales, offsets }: BlockTensor,
  x: Value,
  sumsOf: (x: Value) => Value,
): Value {
  const perRow = width / blockLength;
  const bytes = (blockLength * form.bits) / 8;
  const parts = [
    weights.addPart(graph, `${key}.codes`, { dtype: 'uint8', shape: [out, perRow, bytes] }, codes),
    weights.addPart(graph, `${key}.scales`, { dtype: 'float32', shape: [out, perRow] }, scales),
  ];
  if (offsets) {
    parts.push(weights.addPart(graph, `${key}.offsets`, { dtype: 'float32', shape: [perRow, out] }, offsets));
    parts.push(sumsOf(x));
  }
  return blockProduct(x, parts, { bits: form.bits, blockLength });
}

function gather(
  graph: Graph,
  weights: FrozenWeights,
  key: string,
  { form, shape: [out, width], codes, scales, offsets }: BlockTensor,
  indices: Value,
): Value {
  const perRow = width / blockLength;
  // The same bytes as the product's, whose codes have a third axis.
  const flat = { dtype: 'uint8', shape: [out, (width * form.bits) / 8] } as const;
  const table = weights.addPart(graph, `${key}.rows`, flat, codes);
  const parts = [weights.addPart(graph, `${key}.scales`, { dtype: 'float32', shape: [out, perRow] }, scales)];
  if (offsets)
    parts.push(weights.addPart(graph, `${key}.offsets`, { dtype: 'float32', shape: [perRow, out] }, offsets));
  return gatherBlocks(table, indices, parts, { bits: form.bits, blockLength });
}

/** Values that are cut out of one, side by side, are that one: a kernel that takes them so is spared the cutting. */
export function sideBySide(values: readonly Value[]): readonly Value[] {
  const [first] = values;
  const node = first?.producer;
  const whole = node?.inputs[0];
  const isCut =
    node?.operatorName === 'split' &&
    whole !== undefined &&
    node.outputs.length === values.length &&
    values.every((value, index) => node.outputs[index] === value) &&
    sizeAt(whole, 1) === values.reduce((sum, value) => sum + sizeAt(value, 1), 0);
  return isCut ? [whole] : values;
}
