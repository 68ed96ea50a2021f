import { describe, GraphError, sizeAt } from '../graph/shape.ts';
import type { Operator, Value } from '../graph/types.ts';
import { exp, mul, reshape, scalar, setAtColumns, sub } from './calls.ts';
import { inputAt } from './elementwise.ts';
import { isIndex } from './indexed.ts';

/**
 * Σᵢ wᵢ·(logΣexp(zᵢ) − zᵢ[target]) over rows z of logits. With wᵢ = 1/N on the N counted rows and 0 on the masked ones
 * it is the mean that transformers and PyTorch report.
 */
export const crossEntropy: Operator = {
  types(inputs) {
    const [logits, targets, weights] = [inputAt(inputs, 0), inputAt(inputs, 1), inputAt(inputs, 2)];
    const rows = sizeAt(logits, 0);
    if (!isIndex(targets) || sizeAt(targets, 0) !== rows || sizeAt(weights, 0) !== rows) {
      throw new GraphError(
        `targets ${describe(targets)} and weights ${describe(weights)} do not fit ${describe(logits)}`,
      );
    }
    return [{ dtype: 'float32', shape: [] }, logits, { dtype: 'float32', shape: [rows, 1] }];
  },
  /**
   * Outputs the loss and, for the gradient, p = softmax(z) and each row's own loss ℓ. logΣexp needs no pass of
   * exponentials of its own: at the largest logit z*, p* = 1/Σexp(z − z*), so ℓ = (z* − z[target]) − log p*, in which
   * nothing underflows (p* ≥ 1/vocabulary) and nothing cancels.
   */
  emit(onnx, { inputs: [logits = '', targets = '', weights = ''], outputs: [loss = '', p = '', rowLosses = ''] }) {
    const axis = onnx.constant(BigInt64Array.of(1n), [1]);
    onnx.node('Softmax', [logits], { output: p, attributes: { axis: -1 } });
    const largest = (of: string): string => onnx.node('ReduceMax', [of, axis], { attributes: { keepdims: 1 } }); // [n, 1]
    const columns = onnx.node('Unsqueeze', [targets, axis]); // [n, 1]
    const chosen = onnx.node('GatherElements', [logits, columns], { attributes: { axis: 1 } });
    const behind = onnx.node('Sub', [largest(logits), chosen]);
    onnx.node('Sub', [behind, onnx.node('Log', [largest(p)])], { output: rowLosses });
    const weighted = onnx.node('Mul', [rowLosses, onnx.node('Unsqueeze', [weights, axis])]);
    onnx.node('ReduceSum', [weighted], { output: loss, attributes: { keepdims: 0 } });
  },
  saves: { inputs: [1, 2, 4], outputs: [1, 2] },
  /**
   * dzᵢ = δ·wᵢ·(pᵢ − onehot(target)), and at the target p − 1 = exp(−ℓ) − 1. Written with ℓ, the gradient waits for the
   * row's loss, so that the logits are gone before those of the next rows are made.
   *
   * With the rows h that the logits h·Wᵀ come from, the second part goes to them straight, dh = −δ·wᵢ·W[target], and dz
   * is left with δ·wᵢ·pᵢ: no negative value, and none that dwarfs the others when the row is quantised.
   */
  gradient({ input, output, delta, inputTypes }) {
    const weights = (): Value => mul(delta, reshape(input(2), [sizeAt(input(2), 0), 1])); // [n, 1]
    const direct = inputTypes.length > 3;
    return [
      () => {
        const ofRows = weights();
        if (direct) return mul(output(1), ofRows);
        const atTarget = sub(exp(mul(output(2), scalar(delta, -1))), scalar(delta, 1));
        return setAtColumns(mul(output(1), ofRows), input(1), mul(ofRows, atTarget));
      },
      ...(direct ? [noGradient, noGradient, () => mul(input(4), mul(weights(), scalar(delta, -1)))] : []),
    ];
  },
};

const noGradient = (): Value => {
  throw new GraphError('targets and their weights have no gradient');
};
