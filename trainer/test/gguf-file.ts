import { ggufTensorTypes, type GgufTensorType } from '../src/weights/gguf/tensor-types.ts';

/** Writes GGUF files for tests: whatever a test asks for, right or wrong. */

export type GgufEntry =
  | { readonly type: 'u32' | 'f32' | 'u64'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'i32s'; readonly value: readonly number[] };

export interface GgufTensorToWrite {
  readonly name: string;
  readonly type: GgufTensorType;
  /** Row-major. */
  readonly shape: readonly number[];
  /** Default: zeros. */
  readonly bytes?: Uint8Array;
  /** Default: behind the tensor before. */
  readonly offset?: number;
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const string = (text: string): Buffer => Buffer.concat([u64(Buffer.byteLength(text)), Buffer.from(text)]);
const f32 = (value: number): Buffer => Buffer.from(Float32Array.of(value).buffer);

function entryBytes(entry: GgufEntry): Buffer {
  switch (entry.type) {
    case 'u32':
      return Buffer.concat([u32(4), u32(entry.value)]);
    case 'f32':
      return Buffer.concat([u32(6), f32(entry.value)]);
    case 'bool':
      return Buffer.concat([u32(7), Buffer.of(entry.value ? 1 : 0)]);
    case 'string':
      return Buffer.concat([u32(8), string(entry.value)]);
    case 'u64':
      return Buffer.concat([u32(10), u64(entry.value)]);
    case 'strings':
      return Buffer.concat([u32(9), u32(8), u64(entry.value.length), ...entry.value.map(string)]);
    case 'i32s':
      return Buffer.concat([u32(9), u32(5), u64(entry.value.length), Buffer.from(Int32Array.from(entry.value).buffer)]);
  }
}

const alignment = 32;
const aligned = (size: number): number => Math.ceil(size / alignment) * alignment;

export function ggufFile(
  metadata: Readonly<Record<string, GgufEntry>>,
  tensors: readonly GgufTensorToWrite[] = [],
  version = 3,
): Buffer {
  const entries = Object.entries(metadata).flatMap(([key, entry]) => [string(key), entryBytes(entry)]);
  const infos: Buffer[] = [];
  const data: Buffer[] = [];
  let offset = 0;
  for (const tensor of tensors) {
    const { id, blockElements, blockBytes } = ggufTensorTypes[tensor.type];
    const sizeBytes = tensor.bytes?.length ?? (tensor.shape.reduce((a, b) => a * b, 1) / blockElements) * blockBytes;
    infos.push(
      string(tensor.name),
      u32(tensor.shape.length),
      ...tensor.shape.toReversed().map(u64),
      u32(id),
      u64(tensor.offset ?? offset),
    );
    const padded = Buffer.alloc(aligned(sizeBytes));
    if (tensor.bytes) padded.set(tensor.bytes);
    data.push(padded);
    offset += padded.length;
  }
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    u32(version),
    u64(tensors.length),
    u64(Object.keys(metadata).length),
    ...entries,
    ...infos,
  ]);
  return Buffer.concat([head, Buffer.alloc(aligned(head.length) - head.length), ...data]);
}

/** Two layers, two heads over one key-value head, and a vocabulary of the bytes and three special tokens. */
export function tinyLlama(
  change: {
    metadata?: Record<string, GgufEntry>;
    tensors?: readonly GgufTensorToWrite[];
    without?: readonly string[];
  } = {},
): Buffer {
  const letters = Array.from({ length: 256 }, (_, byte) => byte);
  let moved = 0;
  const alphabet = letters.map((byte) =>
    String.fromCharCode(
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae ? byte : 0x100 + moved++,
    ),
  );
  const tokens = [...alphabet, '<s>', '</s>', 'ab'];
  const [hidden, inner, headDim, vocabulary] = [64, 96, 32, tokens.length];
  const tensors: GgufTensorToWrite[] = [{ name: 'token_embd.weight', type: 'Q8_0', shape: [vocabulary, hidden] }];
  for (const layer of [0, 1]) {
    tensors.push(
      { name: `blk.${layer}.attn_norm.weight`, type: 'F32', shape: [hidden] },
      { name: `blk.${layer}.attn_q.weight`, type: 'Q4_1', shape: [2 * headDim, hidden] },
      { name: `blk.${layer}.attn_k.weight`, type: 'Q4_0', shape: [headDim, hidden] },
      { name: `blk.${layer}.attn_v.weight`, type: 'F16', shape: [headDim, hidden] },
      { name: `blk.${layer}.attn_output.weight`, type: 'BF16', shape: [hidden, 2 * headDim] },
      { name: `blk.${layer}.ffn_norm.weight`, type: 'F32', shape: [hidden] },
      { name: `blk.${layer}.ffn_gate.weight`, type: 'Q4_1', shape: [inner, hidden] },
      { name: `blk.${layer}.ffn_up.weight`, type: 'Q4_1', shape: [inner, hidden] },
      { name: `blk.${layer}.ffn_down.weight`, type: 'Q4_1', shape: [hidden, inner] },
    );
  }
  tensors.push({ name: 'output_norm.weight', type: 'F32', shape: [hidden] });
  const metadata: Record<string, GgufEntry> = {
    'general.architecture': { type: 'string', value: 'llama' },
    'general.name': { type: 'string', value: 'Tiny Llama' },
    'llama.block_count': { type: 'u32', value: 2 },
    'llama.context_length': { type: 'u32', value: 128 },
    'llama.embedding_length': { type: 'u32', value: hidden },
    'llama.feed_forward_length': { type: 'u32', value: inner },
    'llama.attention.head_count': { type: 'u32', value: 2 },
    'llama.attention.head_count_kv': { type: 'u32', value: 1 },
    'llama.attention.layer_norm_rms_epsilon': { type: 'f32', value: 1e-5 },
    'llama.rope.freq_base': { type: 'f32', value: 100_000 },
    'tokenizer.ggml.model': { type: 'string', value: 'gpt2' },
    'tokenizer.ggml.pre': { type: 'string', value: 'smollm' },
    'tokenizer.ggml.tokens': { type: 'strings', value: tokens },
    'tokenizer.ggml.token_type': { type: 'i32s', value: tokens.map((token) => (token.endsWith('s>') ? 3 : 1)) },
    'tokenizer.ggml.merges': { type: 'strings', value: ['a b'] },
    'tokenizer.ggml.bos_token_id': { type: 'u32', value: 256 },
    'tokenizer.ggml.eos_token_id': { type: 'u32', value: 257 },
    ...change.metadata,
  };
  const replaced = new Set([...(change.without ?? []), ...(change.tensors ?? []).map(({ name }) => name)]);
  return ggufFile(Object.fromEntries(Object.entries(metadata).filter(([key]) => !change.without?.includes(key))), [
    ...tensors.filter(({ name }) => !replaced.has(name)),
    ...(change.tensors ?? []),
  ]);
}
