import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAdapterLayout, factorSize, gatherFactor, loraTargets, scatterFactor } from './adapter-layout.ts';

const smolLm2 = { layers: 30, hiddenSize: 576, intermediateSize: 1536, heads: 9, kvHeads: 3, headDim: 64 };

describe('adapter layout', () => {
  it('counts the values that rank 8 on all linear layers of a 135M model has', () => {
    expect(createAdapterLayout(smolLm2, { rank: 8, alpha: 16, targets: loraTargets }).size).toBe(2_442_240);
  });

  it('lists tensors in one order, however the targets were written', () => {
    const written = createAdapterLayout(smolLm2, { rank: 4, alpha: 8, targets: ['v_proj', 'q_proj'] });
    const sorted = createAdapterLayout(smolLm2, { rank: 4, alpha: 8, targets: ['q_proj', 'v_proj'] });
    expect(written).toEqual(sorted);
    expect(written.tensors.slice(0, 4).map(({ name, shape }) => [name, ...shape])).toEqual([
      ['base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight', 4, 576],
      ['base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight', 576, 4],
      ['base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight', 4, 576],
      ['base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight', 192, 4],
    ]);
  });

  it('has another hash when rank, alpha, targets or model differ', () => {
    const base = { rank: 4, alpha: 8, targets: ['q_proj'] as const };
    const hashes = [
      createAdapterLayout(smolLm2, base),
      createAdapterLayout(smolLm2, { ...base, rank: 5 }),
      createAdapterLayout(smolLm2, { ...base, alpha: 9 }),
      createAdapterLayout(smolLm2, { ...base, targets: ['k_proj'] }),
      createAdapterLayout({ ...smolLm2, layers: 29 }, base),
    ].map((layout) => layout.sha256);
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  it('gathers and scatters one factor and leaves the other bit for bit', () => {
    const layout = createAdapterLayout(
      { layers: 2, hiddenSize: 8, intermediateSize: 12, heads: 2, kvHeads: 1, headDim: 4 },
      { rank: 2, alpha: 4, targets: loraTargets },
    );
    fc.assert(
      fc.property(fc.constantFrom('A', 'B', 'both'), (factor) => {
        const values = Float32Array.from({ length: layout.size }, (_, i) => i + 1);
        const gathered = gatherFactor(layout, values, factor);
        expect(gathered.length).toBe(factorSize(layout, factor));
        expect(scatterFactor(layout, values, factor, gathered)).toEqual(values);
        const zeroed = scatterFactor(layout, values, factor, new Float32Array(gathered.length));
        for (const tensor of layout.tensors) {
          const trained = factor === 'both' || tensor.factor === factor;
          expect(zeroed[tensor.offset]).toBe(trained ? 0 : values[tensor.offset]);
        }
      }),
    );
  });
});
