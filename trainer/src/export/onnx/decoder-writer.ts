import type { OnnxWriter } from '../../graph/onnx-writer.ts';
import { families, type PartNorms } from '../../models/families.ts';
import type { ModelConfig } from '../../models/model.ts';
import { onnxTypeNumber } from '../../ops/elementwise.ts';
import { type Rope, ropeFrequencies } from '../../ops/rope-scaling.ts';
import type { PlacedWeight } from './weight-file.ts';

/** bool in ONNX (onnx.proto, TensorProto.DataType). */
const boolType = 9;

interface Rotation {
  readonly cos: string;
  readonly sin: string;
}

/** What a layer can see and how it tells positions apart. */
interface Reach {
  readonly mask: string;
  readonly rotation: Rotation;
}

/** Writes the nodes between the inputs and outputs that decoder-model.ts declares. */
export class DecoderWriter {
  readonly #onnx: OnnxWriter;
  readonly #config: ModelConfig;
  readonly #weights: ReadonlyMap<string, PlacedWeight>;
  readonly #floats = new Map<string, string>();

  constructor(onnx: OnnxWriter, config: ModelConfig, weights: ReadonlyMap<string, PlacedWeight>) {
    this.#onnx = onnx;
    this.#config = config;
    this.#weights = weights;
  }

  write(): void {
    const { family, layers, slidingWindow, localRope } = this.#config;
    const { norms } = families[family];
    this.#onnx.enter('positions');
    const positions = this.#positions();
    const wide: Reach = { mask: this.#mask(positions, undefined), rotation: this.#rotation(this.#config) };
    const local: Reach | undefined = slidingWindow && {
      mask: this.#mask(positions, slidingWindow.size),
      rotation: localRope ? this.#rotation(localRope) : wide.rotation,
    };
    this.#onnx.enter('embedding');
    let x = this.#embedding();
    for (let layer = 0; layer < layers; layer++) {
      const prefix = `model.layers.${layer}`;
      const reach = (slidingWindow?.layers.includes(layer) && local) || wide;
      const added = ({ before, after }: PartNorms, part: (h: string) => string): string => {
        const change = part(this.#norm(`${prefix}.${before}`, x));
        return this.#node('Add', [x, after ? this.#norm(`${prefix}.${after}`, change) : change]);
      };
      this.#onnx.enter(`layers.${layer}/attention`);
      x = added(norms.attention, (h) => this.#attention(layer, h, reach));
      this.#onnx.enter(`layers.${layer}/mlp`);
      x = added(norms.mlp, (h) => {
        const gate = this.#activation(this.#linear(`${prefix}.mlp.gate_proj`, h));
        const inner = this.#node('Mul', [gate, this.#linear(`${prefix}.mlp.up_proj`, h)]);
        return this.#linear(`${prefix}.mlp.down_proj`, inner);
      });
    }
    this.#onnx.enter('head');
    this.#head(this.#norm('model.norm', x));
  }

  /** [batch, seq, hidden] */
  #embedding(): string {
    const { family, hiddenSize } = this.#config;
    const rows = this.#node('Gather', ['model.embed_tokens.weight', 'input_ids'], { axis: 0 });
    const wide = this.#isHalf('model.embed_tokens.weight')
      ? this.#node('Cast', [rows], { to: onnxTypeNumber.float32 })
      : rows;
    return families[family].scalesEmbedding ? this.#node('Mul', [wide, this.#float(Math.sqrt(hiddenSize))]) : wide;
  }

  /** Absolute positions of the rows [seq, 1] and of all keys [total]. */
  #positions(): { readonly rows: string; readonly keys: string } {
    const axis1 = (of: string): string =>
      this.#node('Gather', [this.#node('Shape', [of]), this.#scalar(1n)], { axis: 0 });
    const total = axis1('attention_mask');
    const first = this.#node('Sub', [total, axis1('input_ids')]);
    const rows = this.#node('Range', [first, total, this.#scalar(1n)]);
    return {
      rows: this.#node('Unsqueeze', [rows, this.#ints(1)]),
      keys: this.#node('Range', [this.#scalar(0n), total, this.#scalar(1n)]),
    };
  }

  /**
   * 0 where a row may look and −1e9 elsewhere, [batch, 1, group·seq, total]: once for each of the queries that share a
   * key head, since those stand below each other.
   */
  #mask({ rows, keys }: { rows: string; keys: string }, window: number | undefined): string {
    let seen = this.#node('LessOrEqual', [keys, rows]); // [seq, total]
    if (window !== undefined) {
      const first = this.#node('Sub', [rows, this.#scalar(BigInt(window))]);
      seen = this.#node('And', [seen, this.#node('Greater', [keys, first])]);
    }
    const kept = this.#node('Cast', ['attention_mask'], { to: boolType });
    const visible = this.#node('And', [seen, this.#node('Unsqueeze', [kept, this.#ints(1, 2)])]);
    const mask = this.#node('Where', [visible, this.#float(0), this.#float(-1e9)]); // [batch, 1, seq, total]
    const { heads, kvHeads } = this.#config;
    return heads === kvHeads
      ? mask
      : this.#node(
          'Concat',
          Array.from({ length: heads / kvHeads }, () => mask),
          { axis: 2 },
        );
  }

  /** Cosines and sines of the rows' positions, [batch, 1, seq, headDim / 2]. */
  #rotation({ ropeTheta, ropeScaling }: Rope): Rotation {
    const { headDim } = this.#config;
    const { perPosition, amplitude } = ropeFrequencies(headDim, ropeTheta, ropeScaling);
    const positions = this.#node('Cast', ['position_ids'], { to: onnxTypeNumber.float32 });
    const column = this.#node('Unsqueeze', [positions, this.#ints(1, 3)]); // [batch, 1, seq, 1]
    const frequencies = this.#onnx.constant(Float32Array.from(perPosition), [headDim / 2]);
    const angles = this.#node('Mul', [column, frequencies]);
    const scaled = (turned: string): string =>
      amplitude === 1 ? turned : this.#node('Mul', [turned, this.#float(amplitude)]);
    return { cos: scaled(this.#node('Cos', [angles])), sin: scaled(this.#node('Sin', [angles])) };
  }

  /** Grouped-query attention as models/llama.ts has it, its keys and values joined with those of the past. */
  #attention(layer: number, x: string, { mask, rotation }: Reach): string {
    const { family, heads, kvHeads, headDim, noRopeLayers, queryPreAttnScalar = headDim } = this.#config;
    const prefix = `model.layers.${layer}.self_attn`;
    const perHead = (name: string, count: number): string => {
      const split = this.#node('Reshape', [
        this.#linear(`${prefix}.${name}_proj`, x),
        this.#ints(0, 0, count, headDim),
      ]);
      const normed = families[family].qkNorm && name !== 'v' ? this.#norm(`${prefix}.${name}_norm`, split) : split;
      return this.#node('Transpose', [normed], { perm: [0, 2, 1, 3] }); // [batch, count, seq, headDim]
    };
    const rotates = !noRopeLayers?.includes(layer);
    const rotated = (rows: string): string => (rotates ? this.#rotated(rows, rotation) : rows);
    const joined = (kind: string, rows: string): string =>
      this.#node('Concat', [`past_key_values.${layer}.${kind}`, rows], { axis: 2 }, `present.${layer}.${kind}`);

    const queries = this.#node('Mul', [rotated(perHead('q', heads)), this.#float(1 / Math.sqrt(queryPreAttnScalar))]);
    const keys = joined('key', rotated(perHead('k', kvHeads))); // [batch, kvHeads, total, headDim]
    const values = joined('value', perHead('v', kvHeads));
    const grouped = this.#node('Reshape', [queries, this.#ints(0, kvHeads, -1, headDim)]); // [batch, kvHeads, group·seq, headDim]
    const scores = this.#node('MatMul', [grouped, this.#node('Transpose', [keys], { perm: [0, 1, 3, 2] })]);
    const weights = this.#node('Softmax', [this.#node('Add', [scores, mask])], { axis: -1 });
    const mixed = this.#node('Reshape', [this.#node('MatMul', [weights, values]), this.#ints(0, heads, -1, headDim)]);
    const perRow = this.#node('Transpose', [mixed], { perm: [0, 2, 1, 3] }); // [batch, seq, heads, headDim]
    return this.#linear(`${prefix}.o_proj`, this.#node('Reshape', [perRow, this.#ints(0, 0, heads * headDim)]));
  }

  /** Coordinate i pairs with i + headDim/2 (ops/rotary.ts). */
  #rotated(x: string, { cos, sin }: Rotation): string {
    const half = this.#config.headDim / 2;
    const [low, high] = [this.#onnx.name(), this.#onnx.name()];
    this.#onnx.nodeWithOutputs('Split', [x, this.#ints(half, half)], [low, high], { attributes: { axis: 3 } });
    const times = (a: string, b: string): string => this.#node('Mul', [a, b]);
    const turnedLow = this.#node('Sub', [times(low, cos), times(high, sin)]);
    const turnedHigh = this.#node('Add', [times(high, cos), times(low, sin)]);
    return this.#node('Concat', [turnedLow, turnedHigh], { axis: 3 });
  }

  #head(x: string): void {
    const { tieWordEmbeddings, hiddenSize, vocabSize } = this.#config;
    if (!tieWordEmbeddings) {
      this.#node('MatMul', [x, this.#weight('lm_head.weight')], {}, 'logits');
      return;
    }
    // The embedding stands there once, [vocab, hidden]: Gemm turns it, for two dimensions only.
    const rows = this.#node('Reshape', [x, this.#ints(-1, hiddenSize)]);
    const flat = this.#node('Gemm', [rows, this.#weight('model.embed_tokens.weight')], { transB: 1 });
    const shape = this.#node('Concat', [this.#node('Shape', ['input_ids']), this.#ints(vocabSize)], { axis: 0 });
    this.#node('Reshape', [flat, shape], {}, 'logits');
  }

  #linear(name: string, x: string): string {
    const product = this.#node('MatMul', [x, this.#weight(`${name}.weight`)]);
    return this.#weights.has(`${name}.bias`) ? this.#node('Add', [product, this.#weight(`${name}.bias`)]) : product;
  }

  /** x / √(mean(x²) + ε) · gain (Zhang and Sennrich 2019, equation 4), in the steps that runtimes know to fuse. */
  #norm(name: string, x: string): string {
    const square = this.#node('Pow', [x, this.#float(2)]);
    const mean = this.#node('ReduceMean', [square, this.#ints(-1)], { keepdims: 1 });
    const root = this.#node('Sqrt', [this.#node('Add', [mean, this.#float(this.#config.rmsNormEps)])]);
    const weight = this.#weight(`${name}.weight`);
    const gain = families[this.#config.family].centredNorms ? this.#node('Add', [weight, this.#float(1)]) : weight;
    return this.#node('Mul', [this.#node('Div', [x, root]), gain]);
  }

  #activation(x: string): string {
    const { activation } = families[this.#config.family];
    return activation.name === 'silu' ? this.#node('Mul', [x, this.#node('Sigmoid', [x])]) : this.#gelu(x);
  }

  /** x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))) (Hendrycks and Gimpel 2016, section 2). */
  #gelu(x: string): string {
    const cube = this.#node('Mul', [this.#node('Pow', [x, this.#float(3)]), this.#float(0.044715)]);
    const inner = this.#node('Mul', [this.#node('Add', [x, cube]), this.#float(Math.sqrt(2 / Math.PI))]);
    const share = this.#node('Add', [this.#node('Tanh', [inner]), this.#float(1)]);
    return this.#node('Mul', [this.#node('Mul', [x, this.#float(0.5)]), share]);
  }

  /** A weight as float32. */
  #weight(name: string): string {
    if (!this.#isHalf(name)) return name;
    const known = this.#floats.get(name) ?? this.#node('Cast', [name], { to: onnxTypeNumber.float32 });
    this.#floats.set(name, known);
    return known;
  }

  #isHalf(name: string): boolean {
    return this.#weights.get(name)?.dtype === 'F16';
  }

  #node(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, number | readonly number[]>> = {},
    output?: string,
  ): string {
    return this.#onnx.node(opType, inputs, { attributes, ...(output !== undefined && { output }) });
  }

  #scalar = (value: bigint): string => this.#onnx.constant(BigInt64Array.of(value), []);
  #ints = (...values: number[]): string => this.#onnx.constant(BigInt64Array.from(values, BigInt), [values.length]);
  #float = (value: number): string => this.#onnx.constant(Float32Array.of(value), []);
}
