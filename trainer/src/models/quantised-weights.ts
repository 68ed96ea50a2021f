import type { Graph } from '../graph/graph.ts';
import { GraphError, sizeAt } from '../graph/shape.ts';
import type { ElementType, Value } from '../graph/types.ts';
import {
  crossEntropy,
  dequantiseBlocks,
  gatherQuantised,
  type QuantisedMatrix,
  quantisedProduct,
} from '../ops/calls.ts';
import { partName, type QuantisedPart, type QuantisedTensors } from '../weights/quantised/quantised-tensors.ts';
import type { StoredDtype, TensorRef } from '../weights/tensor-ref.ts';
import { type FrozenWeights, frozenWeights } from './frozen-weights.ts';
import type { LevelRanges } from './level-ranges.ts';

/** A few channels hold values ten times the others', the same ones in every row; normalised rows most of all. */
const outlierChannels = 4;

const levelTypes: Readonly<Partial<Record<StoredDtype, ElementType>>> = { I8: 'int8', U8: 'int4', F32: 'float32' };
const isVector = (entry: [string, TensorRef<StoredDtype>]): entry is [string, TensorRef] => entry[1].dtype === 'F32';

/** Weights of weights/quantised: matrices in int8 are products, those in int4 are widened before each of theirs. */
export function quantisedWeights(tensors: QuantisedTensors, ranges: LevelRanges): FrozenWeights {
  const vectors = frozenWeights(new Map([...tensors].filter(isVector)));
  const has = (name: string, part: QuantisedPart): boolean => tensors.has(partName(name, part, 'levels'));
  const initializer = (graph: Graph, name: string): Value => {
    const tensor = tensors.get(name);
    const dtype = tensor && levelTypes[tensor.dtype];
    if (!tensor || !dtype) throw new RangeError(`the model has no tensor ${name}`);
    // Two levels of 4 bits lie in a byte.
    const shape =
      tensor.dtype === 'U8' ? tensor.shape.with(-1, 2 * sizeAt({ dtype, shape: tensor.shape }, -1)) : tensor.shape;
    return vectors.addPart(graph, name, { dtype, shape }, tensor);
  };
  const matrix = (graph: Graph, name: string, part: QuantisedPart): QuantisedMatrix | undefined =>
    has(name, part)
      ? {
          levels: initializer(graph, partName(name, part, 'levels')),
          scales: initializer(graph, partName(name, part, 'scales')),
        }
      : undefined;
  return {
    ...vectors,
    add(graph, name) {
      const blocks = matrix(graph, name, 'blocks');
      return blocks ? dequantiseBlocks(blocks.levels, blocks.scales) : vectors.add(graph, name);
    },
    matrices: (graph) => ({
      product(name, x) {
        const [forward, backward] = [matrix(graph, name, 'forward'), matrix(graph, name, 'backward')];
        return forward && product(x, { forward, backward, ranges }, { unsigned: false });
      },
      rows(name, indices) {
        const forward = matrix(graph, name, 'forward');
        return forward && gatherQuantised(forward, indices, 1);
      },
      /**
       * A row's gradient is p − 1 at its target and next to nothing elsewhere: quantised together, all but the target
       * would go. The target's part comes from the levels that the rest is multiplied with, so that their rounding cancels.
       */
      headLoss(name, hidden, targets, rowWeights) {
        const [forward, backward] = [matrix(graph, name, 'forward'), matrix(graph, name, 'backward')];
        if (!forward || !backward) throw new GraphError(`the head ${name} is not held as int8`);
        const direct = { hidden, targetRows: gatherQuantised(backward, targets, 0) };
        const logits = product(hidden, { forward, backward, ranges }, { unsigned: true });
        return crossEntropy(logits, targets, rowWeights, direct);
      },
    }),
  };
}

interface Int8Matrix {
  /** Wᵀ [in, out]. */
  readonly forward: QuantisedMatrix;
  /** W [out, in], where something flows back through it. */
  readonly backward: QuantisedMatrix | undefined;
  readonly ranges: LevelRanges;
}

function product(x: Value, { forward, backward, ranges }: Int8Matrix, { unsigned }: { unsigned: boolean }): Value {
  const [inner, out] = [sizeAt(forward.levels, 0), sizeAt(forward.levels, 1)];
  const rows = { range: ranges.signed(inner), unsigned: false, outliers: Math.min(outlierChannels, inner) };
  if (!backward) return quantisedProduct(x, forward, { rows });
  const gradient = { range: unsigned ? ranges.unsigned(out) : ranges.signed(out), unsigned, outliers: 0 };
  return quantisedProduct(x, forward, { rows, gradient }, backward);
}
