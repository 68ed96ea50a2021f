import type { Sha256 } from '@weft/shared';
import type { Rope } from '../ops/rope-scaling.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { BlockTensors } from '../weights/blocks/block-tensor.ts';
import type { QuantisedTensors } from '../weights/quantised/quantised-tensors.ts';
import type { TensorRef } from '../weights/tensor-ref.ts';
import type { FamilyName } from './families.ts';

/** A Llama or one of its relatives, in the words of Hugging Face's config.json. */
export interface ModelConfig extends Rope {
  readonly family: FamilyName;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  readonly rmsNormEps: number;
  readonly tieWordEmbeddings: boolean;
  readonly maxPositions: number;
  /** In these layers a token sees only the last `size` positions, its own included. */
  readonly slidingWindow?: { readonly size: number; readonly layers: readonly number[] };
  /** How positions turn in those layers, where it is not as in the others. */
  readonly localRope?: Rope;
  /** Queries are divided by its square root; absent: headDim. */
  readonly queryPreAttnScalar?: number;
  /** Layers that do not rotate queries and keys. */
  readonly noRopeLayers?: readonly number[];
}

/** A base model whose files were checked: tensor names and shapes fit `config`, and the tokenizer fits the vocabulary. */
export interface Model {
  readonly name: string;
  /** The GGUF or the folder that was asked for. */
  readonly path: string;
  /** Of the GGUF file; for a folder, of its sorted lines `sha256 two-spaces filename`. */
  readonly sha256: Sha256;
  readonly config: ModelConfig;
  /** By Hugging Face name, `model.layers.0.self_attn.q_proj.weight`. */
  readonly tensors: ReadonlyMap<string, TensorRef>;
  /** Matrices that are kept as blocks of small integers; `tensors` lacks these. For generating only. */
  readonly blocks?: BlockTensors | undefined;
  /** All weights in int8 or int4 (weights/quantised), for training and scoring; products take these. */
  readonly quantised?: QuantisedTensors | undefined;
  readonly tokenizer: Tokenizer;
}
