import type { AdapterLayout } from '@weft/shared';

/** W + α/rank·B·A for every adapted weight, in float64. */
export function mergeAdapter(
  weights: ReadonlyMap<string, Float32Array>,
  layout: AdapterLayout,
  adapter: Float32Array,
): Map<string, Float32Array> {
  const merged = new Map(weights);
  for (const a of layout.tensors.filter(({ factor }) => factor === 'A')) {
    const b = layout.tensors.find((t) => t.factor === 'B' && t.layer === a.layer && t.target === a.target);
    const name = [...weights.keys()].find((key) => key.includes(`layers.${a.layer}.`) && key.includes(a.target));
    const weight = name === undefined ? undefined : weights.get(name);
    if (!b || name === undefined || !weight) throw new Error(`nothing to merge ${a.name} into`);
    const [rank, width] = a.shape;
    const value = (offset: number, index: number): number => adapter[offset + index] ?? Number.NaN;
    merged.set(
      name,
      weight.map((w, index) => {
        const [row, column] = [Math.floor(index / width), index % width];
        let sum = 0;
        for (let r = 0; r < rank; r++) sum += value(b.offset, row * rank + r) * value(a.offset, r * width + column);
        return w + (layout.alpha / layout.rank) * sum;
      }),
    );
  }
  return merged;
}
