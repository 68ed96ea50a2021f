import { describe, GraphError, sizeAt } from '../graph/shape.js';
                                                  
import { addAtColumns, mul, reshape, scalar } from './calls.js';
import { inputAt } from './elementwise.js';

/**
 * Σᵢ wᵢ·(logΣexp(zᵢ) − zᵢ[target]) over rows z of logits. With wᵢ = 1/N on the N counted rows and 0 on the masked ones
 * it is the mean that transformers and PyTorch report.
 */
export const crossEntropy           = {
  types(inputs) {
    const [logits, targets, weights] = [inputAt(inputs, 0), inputAt(inputs, 1), inputAt(inputs, 2)];
    const rows = sizeAt(logits, 0);
    if (targets.dtype !== 'int64' || sizeAt(targets, 0) !== rows || sizeAt(weights, 0) !== rows) {
      throw new GraphError(`targets ${describe(targets)} and weights ${describe(weights)} do not fit ${describe(logits)}`);
    }
    return [{ dtype: 'float32', shape: [] }, logits];
  },
  /**
   * Outputs the loss and, for the gradient, p = softmax(z). logΣexp needs no pass of exponentials of its own: at the
   * largest logit z*, p* = 1/Σexp(z − z*), so logΣexp(z) = z* − log p*, and p* ≥ 1/vocabulary never underflows.
   */
  emit(onnx, { inputs: [logits = '', targets = '', weights = ''], outputs: [loss = '', p = ''] }) {
    const axis = onnx.constant(BigInt64Array.of(1n), [1]);
    onnx.node('Softmax', [logits], { output: p, attributes: { axis: -1 } });
    const largest = (of        )         => onnx.node('ReduceMax', [of, axis], { attributes: { keepdims: 1 } }); // [n, 1]
    const logSumExp = onnx.node('Sub', [largest(logits), onnx.node('Log', [largest(p)])]);
    const columns = onnx.node('Unsqueeze', [targets, axis]); // [n, 1]
    const chosen = onnx.node('GatherElements', [logits, columns], { attributes: { axis: 1 } });
    const rowLosses = onnx.node('Sub', [logSumExp, chosen]);
    const weighted = onnx.node('Mul', [rowLosses, onnx.node('Unsqueeze', [weights, axis])]);
    onnx.node('ReduceSum', [weighted], { output: loss, attributes: { keepdims: 0 } });
  },
  saves: { inputs: [1, 2], outputs: [1] },
  /** dzᵢ = δ·wᵢ·(pᵢ − onehot(target)). */
  gradient({ input, output, delta }) {
    return [
      () => {
        const weights = mul(delta, reshape(input(2), [sizeAt(input(2), 0), 1])); // [n, 1]
        return addAtColumns(mul(output(1), weights), input(1), mul(weights, scalar(weights, -1)));
      },
    ];
  },
};
