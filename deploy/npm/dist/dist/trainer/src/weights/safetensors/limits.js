/** What a safetensors file may ask of us before anything is believed. */
export const safetensorsLimits = {
  /** The reference implementation's own cap; a 405B model's header is below 1 MB. */
  headerBytes: 100_000_000,
  /** A 126-layer model with every LoRA factor has some 4,000. */
  tensors: 100_000,
  /** The longest PEFT names have about 100 characters. */
  nameLength: 512,
  /** Weights have one or two dimensions. */
  dimensions: 8,
  /** Metadata is a handful of short strings. */
  metadataEntries: 10_000,
  /** A sharded model's index: one line a tensor. */
  indexBytes: 32 * 1024 * 1024,
  /** The largest published models have some 200 shards. */
  shards: 2_000,
}         ;
