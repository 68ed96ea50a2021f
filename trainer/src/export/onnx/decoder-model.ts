import { create, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, type ValueInfoProto, ValueInfoProtoSchema } from '@weft/proto/onnx';
import { OnnxWriter, onnxType } from '../../graph/onnx-writer.ts';
import type { ElementType } from '../../graph/types.ts';
import { families } from '../../models/families.ts';
import type { ModelConfig } from '../../models/model.ts';
import { onnxTypeNumber } from '../../ops/elementwise.ts';
import { ropeFrequencies } from '../../ops/rope-scaling.ts';
import type { PlacedWeight } from './weight-file.ts';

/** Old enough for every runtime in use: ReduceMean takes its axes as an input from 18 on. */
const opsetVersion = 18n;
const irVersion = 8n;

type Dimension = number | 'batch_size' | 'sequence_length' | 'past_sequence_length' | 'total_sequence_length';

/**
 * A decoder as one ONNX model with a cache of keys and values, in operators of the standard alone. Names and shapes are
 * those of Hugging Face's exports:
 *
 * - `input_ids`, `position_ids` int64 [batch_size, sequence_length]; `attention_mask` int64 [batch_size,
 *   total_sequence_length], 0 where a position is padding
 * - `past_key_values.N.key` and `.value` [batch_size, kvHeads, past_sequence_length, headDim], of length 0 at first
 * - `logits` [batch_size, sequence_length, vocab]; `present.N.key` and `.value`, the next run's past
 */
export function decoderModel(
  config: ModelConfig,
  weights: ReadonlyMap<string, PlacedWeight>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const onnx = new OnnxWriter('portable');
  for (const { name, dtype, shape, ...place } of weights.values())
    onnx.external(name, { dtype: dtype === 'F32' ? 'float32' : 'float16', shape }, place);
  new DecoderWriter(onnx, config, weights).write();
  const cacheShape = (length: Dimension): Dimension[] => ['batch_size', config.kvHeads, length, config.headDim];
  const caches = (prefix: string, length: Dimension): ValueInfoProto[] =>
    Array.from({ length: config.layers }, (_, layer) => layer).flatMap((layer) =>
      ['key', 'value'].map((kind) => info(`${prefix}.${layer}.${kind}`, 'float32', cacheShape(length))),
    );
  const model = create(ModelProtoSchema, {
    irVersion,
    producerName: 'weft',
    opsetImport: [{ domain: '', version: opsetVersion }],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: {
      name: 'weft',
      node: onnx.nodes,
      initializer: onnx.initializers,
      input: [
        info('input_ids', 'int64', ['batch_size', 'sequence_length']),
        info('attention_mask', 'int64', ['batch_size', 'total_sequence_length']),
        info('position_ids', 'int64', ['batch_size', 'sequence_length']),
        ...caches('past_key_values', 'past_sequence_length'),
      ],
      output: [
        info('logits', 'float32', ['batch_size', 'sequence_length', config.vocabSize]),
        ...caches('present', 'total_sequence_length'),
      ],
    },
  });
  return toBinary(ModelProtoSchema, model);
}

const info = (name: string, dtype: ElementType, shape: readonly Dimension[]): ValueInfoProto =>
  create(ValueInfoProtoSchema, {
    name,
    type: {
      value: {
        case: 'tensorType',
        value: {
          elemType: onnxType[dtype],
          shape: {
            dim: shape.map((size) => ({
              value:
                typeof size === 'number'
                  ? { case: 'dimValue' as const, value: BigInt(size) }
                  : { case: 'dimParam' as const, value: size },
            })),
          },
        },
      },
    },
  });

/** bool in ONNX (onnx.proto, TensorProto.DataType). */
const boolType = 9;

class DecoderWriter {
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
    const { layers, slidingWindow } = this.#config;
    this.#onnx.enter('positions');
    const positions = this.#positions();
    const mask = this.#mask(positions, undefined);
    const windowMask = slidingWindow && this.#mask(positions, slidingWindow.size);
    const rotation = this.#rotation();
    this.#onnx.enter('embedding');
    const rows = this.#node('Gather', ['model.embed_tokens.weight', 'input_ids'], { axis: 0 });
    let x = this.#isHalf('model.embed_tokens.weight')
      ? this.#node('Cast', [rows], { to: onnxTypeNumber.float32 })
      : rows;
    for (let layer = 0; layer < layers; layer++) {
      const prefix = `model.layers.${layer}`;
      this.#onnx.enter(`layers.${layer}/attention`);
      const slides = windowMask !== undefined && slidingWindow?.layers.includes(layer);
      const attended = this.#attention(
        layer,
        this.#norm(`${prefix}.input_layernorm`, x),
        slides ? windowMask : mask,
        rotation,
      );
      x = this.#node('Add', [x, attended]);
      this.#onnx.enter(`layers.${layer}/mlp`);
      const h = this.#norm(`${prefix}.post_attention_layernorm`, x);
      const gate = this.#linear(`${prefix}.mlp.gate_proj`, h);
      const swish = this.#node('Mul', [gate, this.#node('Sigmoid', [gate])]);
      const inner = this.#node('Mul', [swish, this.#linear(`${prefix}.mlp.up_proj`, h)]);
      x = this.#node('Add', [x, this.#linear(`${prefix}.mlp.down_proj`, inner)]);
    }
    this.#onnx.enter('head');
    this.#head(this.#norm('model.norm', x));
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
  #rotation(): { readonly cos: string; readonly sin: string } {
    const { headDim, ropeTheta, ropeScaling } = this.#config;
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
  #attention(layer: number, x: string, mask: string, rotation: { cos: string; sin: string }): string {
    const { family, heads, kvHeads, headDim, noRopeLayers } = this.#config;
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

    const queries = this.#node('Mul', [rotated(perHead('q', heads)), this.#float(1 / Math.sqrt(headDim))]);
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
  #rotated(x: string, { cos, sin }: { cos: string; sin: string }): string {
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
    return this.#node('Mul', [this.#node('Div', [x, root]), this.#weight(`${name}.weight`)]);
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
