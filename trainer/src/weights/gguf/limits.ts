/** What a GGUF file may ask of us before anything is believed. */
export const ggufLimits = {
  /** Llama 405B has 1,139; mixture models, which Weft refuses anyway, a few thousand. */
  tensors: 65_536,
  /** llama.cpp writes some 40 keys. */
  metadataEntries: 4_096,
  /** Keys, vocabulary, merges and tensor table together; a vocabulary of 262,144 takes about 12 MB. */
  metadataBytes: 64 * 1024 * 1024,
  /** Merges are the longest arrays: Llama 3 has 280,147. */
  arrayLength: 2_000_000,
  /** All arrays together: a vocabulary of 262,144 with its types, scores and merges has 1.3 million. */
  arrayElements: 4_000_000,
  /** Nobody nests arrays; the format allows it. */
  nesting: 4,
  /** Chat templates are the longest strings: some 20 kB. */
  stringBytes: 1024 * 1024,
  /** The format's own limit. */
  keyBytes: 65_535,
  /** The format's own limit is 64; the longest in use have about 40. */
  tensorNameBytes: 256,
  /** The format's own limit. */
  dimensions: 4,
  /** Gemma has 262,144. */
  vocabulary: 1_000_000,
  /** A table of rotary frequencies has half a head's dimensions, some 64. */
  vectorElements: 4_096,
  /** The format's default is 32. */
  alignment: 1024 * 1024,
} as const;

export type GgufLimit = keyof typeof ggufLimits;
