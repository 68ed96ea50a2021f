import type { AdapterLayout, TrainedFactor } from '@weft/shared';

/** Where the trained factor's values lie in a vector of the whole layout. */
const slices = (layout: AdapterLayout, trained: TrainedFactor): { offset: number; count: number }[] =>
  layout.tensors
    .filter(({ factor }) => trained === 'both' || factor === trained)
    .map(({ offset, shape }) => ({ offset, count: shape[0] * shape[1] }));

/** gatherFactor and scatterFactor of @weft/shared for the optimizer's float64 state. */
export function gatherState(layout: AdapterLayout, state: Float64Array, trained: TrainedFactor): Float64Array {
  const parts = slices(layout, trained);
  const gathered = new Float64Array(parts.reduce((sum, { count }) => sum + count, 0));
  let at = 0;
  for (const { offset, count } of parts) {
    gathered.set(state.subarray(offset, offset + count), at);
    at += count;
  }
  return gathered;
}

export function scatterState(
  layout: AdapterLayout,
  state: Float64Array,
  trained: TrainedFactor,
  gathered: Float64Array,
): Float64Array {
  const scattered = state.slice();
  let at = 0;
  for (const { offset, count } of slices(layout, trained)) {
    scattered.set(gathered.subarray(at, at + count), offset);
    at += count;
  }
  return scattered;
}
