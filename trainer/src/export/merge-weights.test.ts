import { expect, test } from 'vitest';
import { tinyAdapter, tinyLayout, tinyModel, tinyWeights } from '../../test/tiny-model.ts';
import { mergedTensors } from './merge-weights.ts';

test('pieces of a tensor join to W + (alpha / rank)·B·A, whatever their size', async () => {
  using model = tinyModel(false);
  const layout = tinyLayout();
  const adapter = tinyAdapter(layout);
  const weights = tinyWeights(false);
  // one row at a time, a few that do not divide the tensor, all at once
  for (const pieceElements of [1, 50, 1_000_000]) {
    for (const { name, shape, data } of mergedTensors(model, { layout, adapter }, 'f32', pieceElements)) {
      const pieces: Uint8Array[] = [];
      if (typeof data === 'function') for await (const piece of data()) pieces.push(piece);
      const merged = new Float32Array(new Uint8Array(Buffer.concat(pieces)).buffer);
      const expected = Float64Array.from(weights.get(name) ?? []);
      const factor = (letter: string) =>
        layout.tensors.find((t) => t.name === `base_model.model.${name.replace('.weight', `.lora_${letter}.weight`)}`);
      const [a, b] = [factor('A'), factor('B')];
      const columns = shape[1] ?? 0;
      if (a && b) {
        expected.forEach((_, at) => {
          const [row, column] = [Math.floor(at / columns), at % columns];
          for (let r = 0; r < layout.rank; r++) {
            const product =
              (adapter[b.offset + row * layout.rank + r] ?? 0) * (adapter[a.offset + r * columns + column] ?? 0);
            expected[at] = (expected[at] ?? 0) + (layout.alpha / layout.rank) * product;
          }
        });
      }
      expect(merged.length, name).toBe(expected.length);
      merged.forEach((value, at) => expect(Math.abs(value - (expected[at] ?? Number.NaN)), name).toBeLessThan(1e-6));
    }
  }
});
