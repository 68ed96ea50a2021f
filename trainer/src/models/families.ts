/** What sets a family of decoders apart from Llama. Everything else about a model is numbers in its configuration. */
export interface Family {
  /** Query, key and value projections add a bias; the output projection does not. */
  readonly qkvBias: boolean;
  /** Each head's query and key pass an RMS norm before they are rotated, with gains of their own. */
  readonly qkNorm: boolean;
  /** What the gate of the feed-forward network passes, and the key of config.json that names it. */
  readonly activation: { readonly key: 'hidden_act' | 'hidden_activation'; readonly name: Activation };
  /** An RMS norm multiplies by 1 + its weight, not by its weight. */
  readonly centredNorms: boolean;
  /** The norms of a layer: before each of its two parts and, in some families, after it, before the residual is added. */
  readonly norms: { readonly attention: PartNorms; readonly mlp: PartNorms };
  /** Embeddings are multiplied by √hidden. */
  readonly scalesEmbedding: boolean;
  /** What a config.json that does not say so means. */
  readonly tieWordEmbeddings: boolean;
  readonly ropeTheta: number;
  /** Added tokens that the tokenizer shares with larger siblings, and for which this family's embedding may have no row. */
  readonly tokensWithoutRow: readonly string[];
  /** llama.cpp's name, and whether its files order the rows of q and k for rotating neighbours (convert_hf_to_gguf.py). */
  readonly gguf: { readonly architecture: string; readonly interleavesHeads: boolean };
  /** Keys of config.json that this family heeds and a Llama has not; in any other family they are refused by name. */
  readonly heeds: readonly FamilyKey[];
}

/** The linear unit that is gated: by x·σ(x), or by GELU in the form with the hyperbolic tangent. */
export type Activation = 'silu' | 'gelu_pytorch_tanh';

export interface PartNorms {
  readonly before: string;
  readonly after?: string;
}

/** Who sees how far, and in which layers positions turn, and at what pace: read by weights/layer-pattern.ts and rope-config.ts. */
export type FamilyKey =
  | 'sliding_window'
  | 'use_sliding_window'
  | 'max_window_layers'
  | 'sliding_window_pattern'
  | 'layer_types'
  | 'no_rope_layers'
  | 'rope_local_base_freq'
  | 'query_pre_attn_scalar';

const llama: Family = {
  qkvBias: false,
  qkNorm: false,
  activation: { key: 'hidden_act', name: 'silu' },
  centredNorms: false,
  norms: { attention: { before: 'input_layernorm' }, mlp: { before: 'post_attention_layernorm' } },
  scalesEmbedding: false,
  tieWordEmbeddings: false,
  ropeTheta: 10_000,
  tokensWithoutRow: [],
  gguf: { architecture: 'llama', interleavesHeads: true },
  heeds: [],
};
const switchedWindow = ['sliding_window', 'use_sliding_window', 'max_window_layers', 'layer_types'] as const;

/** One row a family, by config.json's model_type, as transformers' modeling files define them. */
export const families = {
  llama,
  mistral: { ...llama, heeds: ['sliding_window'] },
  qwen2: {
    ...llama,
    qkvBias: true,
    gguf: { architecture: 'qwen2', interleavesHeads: false },
    heeds: switchedWindow,
  },
  qwen3: {
    ...llama,
    qkNorm: true,
    gguf: { architecture: 'qwen3', interleavesHeads: false },
    heeds: switchedWindow,
  },
  smollm3: {
    ...llama,
    tieWordEmbeddings: true,
    ropeTheta: 2_000_000,
    gguf: { architecture: 'smollm3', interleavesHeads: true },
    heeds: ['no_rope_layers'],
  },
  gemma3_text: {
    ...llama,
    qkNorm: true,
    activation: { key: 'hidden_activation', name: 'gelu_pytorch_tanh' },
    centredNorms: true,
    norms: {
      attention: { before: 'input_layernorm', after: 'post_attention_layernorm' },
      mlp: { before: 'pre_feedforward_layernorm', after: 'post_feedforward_layernorm' },
    },
    scalesEmbedding: true,
    tieWordEmbeddings: true,
    ropeTheta: 1_000_000,
    tokensWithoutRow: ['<image_soft_token>'],
    gguf: { architecture: 'gemma3', interleavesHeads: false },
    heeds: ['sliding_window', 'sliding_window_pattern', 'layer_types', 'rope_local_base_freq', 'query_pre_attn_scalar'],
  },
} as const satisfies Readonly<Record<string, Family>>;

export type FamilyName = keyof typeof families;

export const isFamily = (name: unknown): name is FamilyName =>
  typeof name === 'string' && Object.hasOwn(families, name);
