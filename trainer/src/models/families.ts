/** What sets a family of decoders apart from Llama. Everything else about a model is numbers in its configuration. */
export interface Family {
  /** Query, key and value projections add a bias; the output projection does not. */
  readonly qkvBias: boolean;
  /** Each head's query and key pass an RMS norm before they are rotated, with gains of their own. */
  readonly qkNorm: boolean;
  /** What a config.json that does not say so means. */
  readonly tieWordEmbeddings: boolean;
  /** llama.cpp's name, and whether its files order the rows of q and k for rotating neighbours (convert_hf_to_gguf.py). */
  readonly gguf: { readonly architecture: string; readonly interleavesHeads: boolean };
  /** Keys of config.json that this family heeds and a Llama has not; in any other family they are refused by name. */
  readonly heeds: readonly FamilyKey[];
}

/** Who sees how far, and in which layers positions turn: read by weights/layer-pattern.ts. */
export type FamilyKey = 'sliding_window' | 'use_sliding_window' | 'layer_types' | 'no_rope_layers';

const llama: Family = {
  qkvBias: false,
  qkNorm: false,
  tieWordEmbeddings: false,
  gguf: { architecture: 'llama', interleavesHeads: true },
  heeds: [],
};
const switchedWindow = ['sliding_window', 'use_sliding_window', 'layer_types'] as const;

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
    gguf: { architecture: 'smollm3', interleavesHeads: true },
    heeds: ['no_rope_layers'],
  },
} as const satisfies Readonly<Record<string, Family>>;

export type FamilyName = keyof typeof families;

export const isFamily = (name: unknown): name is FamilyName =>
  typeof name === 'string' && Object.hasOwn(families, name);
