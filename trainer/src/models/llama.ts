import { GraphError, sizeAt } from '../graph/shape.ts';
import type { Graph } from '../graph/graph.ts';
import type { Value } from '../graph/types.ts';
import {
  add,
  cast,
  crossEntropy,
  gatherRows,
  geglu,
  gemm,
  mul,
  reshape,
  rmsNorm,
  rotary,
  scalar,
  swiglu,
  transpose,
} from '../ops/calls.ts';
import { linearProduct } from '../ops/mixed-precision.ts';
import type { AttentionAttributes } from '../ops/calls.ts';
import type { LoraTarget } from '@weft/shared';
import { attend, attendCausally, CausalMask, type KeyValues } from './attention.ts';
import { type Activation, families, type PartNorms } from './families.ts';
import type { ModelConfig } from './model.ts';
import type { Segments } from './segments.ts';

/** LoRA's factors of one linear layer: A [rank, in], B [out, rank], scale α/rank. */
export interface LoraPair {
  readonly a: Value;
  readonly b: Value;
  readonly scale: number;
}

export interface LlamaParameters {
  /** A weight by its Hugging Face name, `model.layers.0.self_attn.q_proj.weight`; linear weights are [out, in]. */
  weight(name: string): Value;
  /** x·Wᵀ of a linear weight that is kept in blocks; undefined for one that `weight` has. */
  product?(name: string, x: Value): Value | undefined;
  /** Rows [n, in] by index [n] of a weight that is kept in blocks. */
  rows?(name: string, indices: Value): Value | undefined;
  /** Σ rowWeights·cross-entropy of hidden·Wᵀ, where the head's weight is held in int8. */
  readonly headLoss?: (name: string, hidden: Value, targets: Value, rowWeights: Value) => Value;
  /** The LoRA factors of a linear layer, or undefined where it has none. */
  lora(layer: number, target: LoraTarget): LoraPair | undefined;
}

/** Where a run's parameters come from: which are weights in files, which are inputs, and which of those are trained. */
export interface ParameterSource {
  parametersIn(graph: Graph): LlamaParameters & { readonly trained: ReadonlyMap<string, Value> };
}

/** The keys and values of the positions before the rows at hand, when rows are decoded a few at a time. */
export interface KeyValueCache {
  readonly capacity: number;
  /** Position of the first row, int32 [1]. */
  readonly firstPosition: Value;
  /** [seq, capacity + seq]: 0 where a row may look, −1e9 elsewhere; the cached positions come before the rows. */
  readonly mask: (layer: number) => Value;
  /** The `capacity` cached positions of a layer. */
  read(layer: number): KeyValues;
  /** Takes those of the rows. */
  append(layer: number, rows: KeyValues): void;
}

/** Attention as one kernel that keeps keys and values itself, which only generating has a use for. */
export interface AttentionKernel {
  /** Rows [rows, heads·headDim] of queries, keys and values, not yet rotated, to the rows' mixed values. */
  attend(layer: number, rows: { readonly queries: Value } & KeyValues, attributes: AttentionAttributes): Value;
}

export interface BatchShape {
  readonly batchSize: number;
  readonly sequenceLength: number;
  /** Rows are made of several examples, which do not see each other. */
  readonly isPacked?: boolean | undefined;
  /** The backward pass computes each layer again, from the layer's input, instead of keeping what the layer computed. */
  readonly checkpointing?: boolean | undefined;
  /** As many queries attend at once. */
  readonly queryBlock?: number | undefined;
}

const defaultQueryBlock = 256;

/**
 * A decoder of Llama's kin from token ids [batch·seq] to the normalised hidden states [batch·seq, hidden], decomposed into
 * operators that have gradient rules. Rows are padded on the right, so the causal mask is all the mask there is.
 * With a cache the rows continue the sequence that it holds; with segments a row has several sequences.
 */
export function buildLlama(
  graph: Graph,
  config: ModelConfig,
  shape: BatchShape,
  inputIds: Value,
  parameters: LlamaParameters,
  past?: KeyValueCache | AttentionKernel,
  segments?: Segments,
): Value {
  const kernel = past && 'attend' in past ? past : undefined;
  const cache = past && 'attend' in past ? undefined : past;
  const mixerOf = mixers(graph, config, shape, cache, segments);
  const { norms, activation } = families[config.family];
  let x = embed(config, parameters, inputIds); // [rows, hidden]
  for (let layer = 0; layer < config.layers; layer++) {
    const build = (): void => {
      const prefix = `model.layers.${layer}`;
      const linear = (target: LoraTarget, input: Value, residual?: Value): Value =>
        adaptedLinear(
          parameters,
          input,
          `${prefix}.${moduleOf[target]}.weight`,
          parameters.lora(layer, target),
          hasBias(config, target) ? widen(parameters.weight(`${prefix}.${moduleOf[target]}.bias`)) : residual,
        );
      const norm = (name: string, input: Value): Value =>
        normed(config, input, parameters.weight(`${prefix}.${name}.weight`));
      /** A part of the layer on the normalised x, added to x: by the part's last product, or after a norm of its own. */
      const residual = ({ before, after }: PartNorms, part: (h: Value, residual: Value | undefined) => Value): Value =>
        after ? add(x, norm(after, part(norm(before, x), undefined))) : part(norm(before, x), x);
      const place: Place = { config, shape, layer, linear, norm };
      const positions = { cache, segments };
      const attention = (h: Value, end: Value | undefined): Value =>
        kernel ? attentionByKernel(place, kernel, h, end) : attentionOfHeads(place, mixerOf(layer), positions, h, end);
      x = graph.scope('attention', () => residual(norms.attention, attention));
      x = graph.scope('mlp', () =>
        residual(norms.mlp, (h, end) =>
          linear('down_proj', gatedUnits[activation.name](linear('gate_proj', h), linear('up_proj', h)), end),
        ),
      );
    };
    graph.scope(`layers.${layer}`, () => (shape.checkpointing ? graph.checkpoint(build) : build()));
  }
  return normed(config, x, parameters.weight('model.norm.weight'));
}

/** Rows of the embedding, [rows, hidden]. */
function embed(config: ModelConfig, parameters: LlamaParameters, inputIds: Value): Value {
  const name = 'model.embed_tokens.weight';
  const rows = parameters.rows?.(name, inputIds) ?? widen(gatherRows(parameters.weight(name), inputIds));
  return families[config.family].scalesEmbedding ? mul(rows, scalar(rows, Math.sqrt(config.hiddenSize))) : rows;
}

function normed({ family, rmsNormEps }: ModelConfig, x: Value, weight: Value): Value {
  const gain = widen(weight);
  return rmsNorm(x, families[family].centredNorms ? add(gain, scalar(gain, 1)) : gain, rmsNormEps);
}

const gatedUnits: Readonly<Record<Activation, (gate: Value, up: Value) => Value>> = {
  silu: swiglu,
  gelu_pytorch_tanh: geglu,
};

/** The vocabulary head's weight, [vocab, hidden]. */
export const headName = ({ tieWordEmbeddings }: ModelConfig): string =>
  tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight';
export const headWeight = (config: ModelConfig, parameters: LlamaParameters): Value =>
  parameters.weight(headName(config));

/** What the loss needs of the vocabulary head. */
export interface VocabularyHead {
  readonly vocabSize: number;
  /** Σ rowWeights·cross-entropy of the head's logits on hidden states [rows, hidden]. */
  loss(hidden: Value, targets: Value, rowWeights: Value): Value;
}

export function vocabularyHead(config: ModelConfig, parameters: LlamaParameters): VocabularyHead {
  const [name, { vocabSize }] = [headName(config), config];
  const { headLoss } = parameters;
  if (headLoss) return { vocabSize, loss: (...rows) => headLoss(name, ...rows) };
  const weight = parameters.weight(name);
  return {
    vocabSize,
    loss: (hidden, targets, rowWeights) => crossEntropy(linearProduct(hidden, weight), targets, rowWeights),
  };
}

/** Frozen weights may be half precision; what is no product is float32. */
export const widen = (weight: Value): Value => cast(weight, 'float32');

const moduleOf: Readonly<Record<LoraTarget, string>> = {
  q_proj: 'self_attn.q_proj',
  k_proj: 'self_attn.k_proj',
  v_proj: 'self_attn.v_proj',
  o_proj: 'self_attn.o_proj',
  gate_proj: 'mlp.gate_proj',
  up_proj: 'mlp.up_proj',
  down_proj: 'mlp.down_proj',
};

/** The projections with a bias are not those that end a residual branch. */
const hasBias = ({ family }: ModelConfig, target: LoraTarget): boolean =>
  families[family].qkvBias && (target === 'q_proj' || target === 'k_proj' || target === 'v_proj');

/** Mixes the values [batch, kvHeads, seq, headDim] for the queries [batch, heads, seq, headDim]; α multiplies the scores. */
type Mixer = (queries: Value, own: KeyValues, alpha: number) => Value;

/** What attention needs to know of the layer that it stands in. */
interface Place {
  readonly config: ModelConfig;
  readonly shape: BatchShape;
  readonly layer: number;
  readonly linear: (target: LoraTarget, input: Value, residual?: Value) => Value;
  readonly norm: (name: string, input: Value) => Value;
}

/** x·Wᵀ + scale·(x·Aᵀ)·Bᵀ + c, c a bias or a residual; the additions ride on the products. */
function adaptedLinear(
  parameters: LlamaParameters,
  x: Value,
  name: string,
  lora: LoraPair | undefined,
  c: Value | undefined,
): Value {
  const base = plainLinear(parameters, x, name, c); // [rows, out]
  if (!lora) return base;
  const down = gemm(x, lora.a, { transB: true, alpha: lora.scale }); // [rows, rank]
  return gemm(down, lora.b, { transB: true }, base);
}

/** x·Wᵀ + c. */
export function plainLinear(parameters: LlamaParameters, x: Value, name: string, c?: Value): Value {
  const product = parameters.product?.(name, x);
  if (!product) return linearProduct(x, parameters.weight(name), c);
  return c ? add(product, c) : product;
}

function attentionOfHeads(
  { config, shape, layer, linear, norm }: Place,
  mix: Mixer,
  { cache, segments }: { cache: KeyValueCache | undefined; segments: Segments | undefined },
  normalised: Value,
  residual: Value | undefined,
): Value {
  const { heads, kvHeads, headDim, slidingWindow, localRope, queryPreAttnScalar = headDim } = config;
  const { ropeTheta, ropeScaling } = (slidingWindow?.layers.includes(layer) && localRope) || config;
  const { batchSize, sequenceLength: seq } = shape;
  if (heads % kvHeads !== 0) throw new GraphError(`${heads} query heads cannot share ${kvHeads} key heads`);
  const perHead = (rows: Value, count: number): Value =>
    transpose(reshape(rows, [batchSize, seq, count, headDim]), [0, 2, 1, 3]); // [batch, count, seq, headDim]
  const headNorm = (name: string, x: Value): Value =>
    families[config.family].qkNorm ? norm(`self_attn.${name}`, x) : x;
  const positions = cache && { positions: cache.capacity + seq };
  const startOf = cache?.firstPosition ?? segments?.positions;
  const rotates = !config.noRopeLayers?.includes(layer);
  const rotate = (x: Value, scale: number): Value =>
    rotates ? rotary(x, { base: ropeTheta, scaling: ropeScaling, scale, ...positions }, startOf) : x;
  const queryScale = 1 / Math.sqrt(queryPreAttnScalar);

  const q = rotate(headNorm('q_norm', perHead(linear('q_proj', normalised), heads)), queryScale);
  const keys = rotate(headNorm('k_norm', perHead(linear('k_proj', normalised), kvHeads)), 1);
  const own: KeyValues = { keys, values: perHead(linear('v_proj', normalised), kvHeads) };
  const mixed = mix(q, own, rotates ? 1 : queryScale); // [batch, heads, seq, headDim]
  const rows = reshape(transpose(mixed, [0, 2, 1, 3]), [batchSize * seq, heads * headDim]);
  return linear('o_proj', rows, residual);
}

/** The same by a kernel: rows stay as the projections give them. */
function attentionByKernel(
  { config, layer, linear, norm }: Place,
  kernel: AttentionKernel,
  normalised: Value,
  residual: Value | undefined,
): Value {
  const { heads, kvHeads, headDim, slidingWindow, localRope, queryPreAttnScalar = headDim } = config;
  const window = slidingWindow?.layers.includes(layer) ? slidingWindow : undefined;
  const { ropeTheta, ropeScaling } = (window && localRope) || config;
  const normed = (name: string, rows: Value, count: number): Value => {
    if (!families[config.family].qkNorm) return rows;
    const perHead = reshape(rows, [sizeAt(rows, 0) * count, headDim]);
    return reshape(norm(`self_attn.${name}`, perHead), rows.shape);
  };
  const rows = {
    queries: normed('q_norm', linear('q_proj', normalised), heads),
    keys: normed('k_norm', linear('k_proj', normalised), kvHeads),
    values: linear('v_proj', normalised),
  };
  const mixed = kernel.attend(layer, rows, {
    heads,
    kvHeads,
    headDim,
    scale: 1 / Math.sqrt(queryPreAttnScalar),
    rotation: config.noRopeLayers?.includes(layer) ? undefined : { base: ropeTheta, scaling: ropeScaling },
    window: window?.size,
  });
  return linear('o_proj', mixed, residual);
}

/** How the queries of a layer attend to keys and values: their own and the cached ones, or their own in blocks. */
function mixers(
  graph: Graph,
  { slidingWindow }: ModelConfig,
  { sequenceLength, queryBlock = defaultQueryBlock }: BatchShape,
  cache: KeyValueCache | undefined,
  segments: Segments | undefined,
): (layer: number) => Mixer {
  if (cache) {
    return (layer) => (q, own, alpha) => {
      cache.append(layer, own);
      // The cache is multiplied where it stands: joining it with the rows' own keys and values would copy it.
      return attend(q, [cache.read(layer), own], cache.mask(layer), alpha);
    };
  }
  const masks = new Map<number, CausalMask>();
  return (layer) => (q, own, alpha) => {
    const window = Math.min(sequenceLength, slidingWindow?.layers.includes(layer) ? slidingWindow.size : Infinity);
    const maskOf = masks.get(window) ?? new CausalMask(graph, window, segments);
    masks.set(window, maskOf);
    return attendCausally(q, own, alpha, { queryBlock, maskOf });
  };
}
