import { isWeftError } from '@weft/shared';
import { expect, test } from 'vitest';
import { ggufFile, tinyLlama, type GgufEntry, type GgufTensorToWrite } from '../../../test/gguf-file.ts';
import { MoreBytesNeeded } from './cursor.ts';
import { parseGgufHeader } from './header.ts';
import { ggufLimits } from './limits.ts';
import type { ModelConfig } from '../../models/model.ts';
import { ropeFrequencies } from '../../ops/rope-scaling.ts';
import { configFromGguf } from './model-config.ts';

const refusal = (bytes: Buffer, fileBytes = bytes.length): string => {
  try {
    parseGgufHeader(bytes, fileBytes);
  } catch (error) {
    if (isWeftError(error)) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
};

const tensor = (change: Partial<GgufTensorToWrite> = {}): GgufTensorToWrite => ({
  name: 'a',
  type: 'F32',
  shape: [4, 8],
  ...change,
});

/** The file with the 64-bit number that stands at `at` replaced. */
const patched = (bytes: Buffer, at: number, value: bigint): Buffer => {
  const copy = Buffer.from(bytes);
  copy.writeBigUInt64LE(value, at);
  return copy;
};

test('metadata, shapes and places are read; shapes are turned to row-major', () => {
  const bytes = ggufFile(
    {
      'a.text': { type: 'string', value: 'ñ' },
      'a.list': { type: 'strings', value: ['x', ''] },
      'a.long': { type: 'u64', value: 2 ** 40 },
    },
    [tensor(), tensor({ name: 'b', type: 'Q4_0', shape: [2, 64] })],
  );
  for (const version of [2, 3]) {
    bytes.writeUInt32LE(version, 4);
    const header = parseGgufHeader(bytes, bytes.length);
    expect([...header.metadata]).toEqual([
      ['a.text', 'ñ'],
      ['a.list', ['x', '']],
      ['a.long', 2 ** 40],
    ]);
    const [a, b] = [...header.tensors.values()];
    expect(a).toMatchObject({ name: 'a', type: 'F32', shape: [4, 8], sizeBytes: 128 });
    expect(b).toMatchObject({ name: 'b', type: 'Q4_0', shape: [2, 64], sizeBytes: 72, offset: (a?.offset ?? 0) + 128 });
  }
});

test('a header that goes on behind the bytes at hand asks for more of the file', () => {
  const bytes = tinyLlama();
  expect(() => parseGgufHeader(bytes.subarray(0, 1000), bytes.length)).toThrow(MoreBytesNeeded);
});

test('a file that is cut anywhere in its header or data is refused', () => {
  const bytes = ggufFile({ key: { type: 'string', value: 'value' } }, [tensor()]);
  for (let length = 0; length < bytes.length; length += 7)
    expect(refusal(bytes.subarray(0, length)), `${length} bytes`).toContain('WEFT_MODEL_CORRUPT');
});

test('other formats and versions are refused by name', () => {
  const bytes = ggufFile({});
  expect(refusal(Buffer.from('not a model file at all.'))).toBe(
    'WEFT_MODEL_CORRUPT gguf: the file does not begin with GGUF',
  );
  bytes.writeUInt32LE(1, 4);
  expect(refusal(bytes)).toBe('WEFT_MODEL_UNSUPPORTED gguf: the file has version 1; Weft reads 2 and 3');
  bytes.writeUInt32BE(3, 4);
  expect(refusal(bytes)).toBe('WEFT_MODEL_UNSUPPORTED gguf: the file is big-endian');
});

test('counts beyond the limits are refused by name, before anything is allocated', () => {
  const empty = ggufFile({});
  expect(refusal(patched(empty, 8, 2n ** 40n))).toContain(
    `WEFT_MODEL_LIMIT gguf: tensors is 1099511627776, the limit is ${ggufLimits.tensors}`,
  );
  expect(refusal(patched(empty, 16, 2n ** 60n))).toContain('gguf: metadataEntries is');
  const text = ggufFile({ key: { type: 'string', value: 'value' } });
  expect(refusal(patched(text, 24, 2n ** 40n))).toContain('gguf: keyBytes is');
  expect(refusal(patched(text, 24 + 8 + 3 + 4, 2n ** 40n))).toContain('gguf: stringBytes is');
  const list = ggufFile({ key: { type: 'strings', value: ['a'] } });
  expect(refusal(patched(list, 24 + 8 + 3 + 4 + 4, 2n ** 40n))).toContain('gguf: arrayLength is');
  expect(refusal(ggufFile({}, [tensor({ shape: [1, 1, 1, 1, 1] })]))).toContain(
    'gguf: dimensions is 5, the limit is 4',
  );
  expect(refusal(ggufFile({}, [tensor({ name: 'x'.repeat(300) })]))).toContain(
    'gguf: tensorNameBytes is 300, the limit is 256',
  );
  expect(refusal(ggufFile({ 'general.alignment': { type: 'u32', value: 2 ** 30 } }))).toContain('gguf: alignment is');
});

test('nested arrays are refused beyond their limit', () => {
  const depth = 6;
  const u32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);
  const one = Buffer.from(BigUint64Array.of(1n).buffer);
  // key "k" of type array (9), of arrays, of arrays …
  const nested = Buffer.concat([
    Buffer.from('k'),
    u32(9),
    ...Array.from({ length: depth }, () => [u32(9), one]).flat(),
    u32(0),
    one,
    Buffer.of(7),
  ]);
  const head = ggufFile({}).subarray(0, 24);
  expect(refusal(Buffer.concat([patched(head, 16, 1n), one, nested, Buffer.alloc(64)]))).toBe(
    'WEFT_MODEL_LIMIT gguf: nesting is 5, the limit is 4',
  );
});

test('many arrays together are refused, each within its own limit', () => {
  const half = { type: 'i32s', value: Array.from({ length: 1_500_000 }, () => 0) } as const;
  expect(refusal(ggufFile({ a: half, b: half, c: half }))).toBe(
    'WEFT_MODEL_LIMIT gguf: arrayElements is 4500000, the limit is 4000000',
  );
});

test('a header beyond metadataBytes is refused, however large the file says it is', () => {
  const string = (text: string): GgufEntry => ({ type: 'string', value: text });
  const megabyte = 'x'.repeat(1024 * 1024);
  const keys = Object.fromEntries(Array.from({ length: 66 }, (_, i) => [`key${i}`, string(megabyte)]));
  expect(refusal(ggufFile(keys))).toContain('gguf: metadataBytes is');
});

test('tensors that overlap, end behind the file, lie askew or overflow are refused', () => {
  const cases: [string, GgufTensorToWrite[]][] = [
    ['b begins at byte', [tensor(), tensor({ name: 'b', offset: 32 })]],
    ['ends at byte', [tensor({ offset: 2 ** 40 })]],
    ['which is no multiple of 32', [tensor({ offset: 8 })]],
    ['more elements than a safe integer counts', [tensor({ shape: [2 ** 30, 2 ** 30], bytes: new Uint8Array(4) })]],
    ['packs 32 at a time', [tensor({ type: 'Q4_0', shape: [2, 16], bytes: new Uint8Array(18) })]],
    ['two tensors are called a', [tensor(), tensor()]],
  ];
  for (const [what, tensors] of cases) expect(refusal(ggufFile({}, tensors)), what).toContain(what);
  expect(refusal(ggufFile({}, cases[0]?.[1]))).toContain('WEFT_MODEL_CORRUPT');
});

test('an offset or a dimension beyond safe integers is refused', () => {
  const bytes = ggufFile({}, [tensor({ shape: [4] })]);
  const dimensionAt = 24 + 8 + 1 + 4;
  expect(refusal(patched(bytes, dimensionAt, 2n ** 63n))).toContain(
    'a dimension of a is 9223372036854775808, beyond what a safe integer counts',
  );
  expect(refusal(patched(bytes, dimensionAt + 8 + 4, 2n ** 63n))).toContain('the offset of a is');
});

test('an element type that is not read is refused by its name', () => {
  const bytes = ggufFile({}, [tensor({ shape: [4] })]);
  bytes.writeUInt32LE(19, 24 + 8 + 1 + 4 + 8);
  expect(refusal(bytes)).toBe(
    'WEFT_MODEL_UNSUPPORTED gguf: a has the type IQ1_S; Weft reads F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, BF16',
  );
});

test('a string that is not UTF-8 and a key that stands twice are refused', () => {
  const bytes = ggufFile({ key: { type: 'string', value: 'value' } });
  bytes[24 + 8 + 3 + 4 + 8] = 0xff;
  expect(refusal(bytes)).toContain('is not UTF-8');
  const twice = ggufFile({ kez: { type: 'bool', value: true }, key: { type: 'bool', value: true } });
  twice[24 + 8 + 2] = 'y'.charCodeAt(0);
  expect(refusal(twice)).toContain('the key key stands there twice');
});

const configRefusal = (metadata: Record<string, GgufEntry>, without: string[] = []): string => {
  const bytes = tinyLlama({ metadata, without });
  try {
    configFromGguf(parseGgufHeader(bytes, bytes.length));
  } catch (error) {
    return isWeftError(error) ? `${error.code} ${error.message}` : String(error);
  }
  return 'accepted';
};

test('the configuration is that of Hugging Face', () => {
  const bytes = tinyLlama();
  expect(configFromGguf(parseGgufHeader(bytes, bytes.length))).toEqual({
    family: 'llama',
    hiddenSize: 64,
    intermediateSize: 96,
    layers: 2,
    heads: 2,
    kvHeads: 1,
    headDim: 32,
    vocabSize: 259,
    ropeTheta: 100_000,
    rmsNormEps: 1e-5,
    tieWordEmbeddings: true,
    maxPositions: 128,
  });
});

/** The tiny Llama's keys under another architecture's name. */
const asArchitecture = (architecture: string, more: Record<string, GgufEntry> = {}): ModelConfig => {
  const renamed = Buffer.from(
    tinyLlama({ metadata: { 'general.architecture': { type: 'string', value: 'llama' }, ...more } })
      .toString('latin1')
      .replaceAll('llama', architecture),
    'latin1',
  );
  return configFromGguf(parseGgufHeader(renamed, renamed.length));
};

test('an architecture is the family that has its name there, with what llama.cpp knows of it untold', () => {
  const u32 = (value: number): GgufEntry => ({ type: 'u32', value });
  // names of five letters, so that the lengths in the file stay right
  expect(asArchitecture('qwen2')).toMatchObject({ family: 'qwen2', ropeTheta: 100_000 });
  expect(asArchitecture('qwen3').slidingWindow).toBeUndefined();
  expect(asArchitecture('llama', { 'llama.attention.sliding_window': u32(64) })).toMatchObject({
    family: 'mistral',
    slidingWindow: { size: 64, layers: [0, 1] },
  });
});

test('scaled positions are those of config.json', () => {
  const scaled = (more: Record<string, GgufEntry>) => asArchitecture('llama', more).ropeScaling;
  const f32 = (value: number): GgufEntry => ({ type: 'f32', value });
  const type = (value: string): GgufEntry => ({ type: 'string', value });
  expect(scaled({ 'llama.rope.scaling.type': type('none') })).toBeUndefined();
  expect(scaled({ 'llama.rope.scale_linear': f32(1) })).toBeUndefined();
  expect(scaled({ 'llama.rope.scale_linear': f32(8) })).toEqual({ type: 'linear', factor: 8 });
  expect(
    scaled({
      'llama.rope.scaling.type': type('yarn'),
      'llama.rope.scaling.factor': f32(4),
      'llama.rope.scaling.original_context_length': { type: 'u32', value: 32 },
    }),
  ).toEqual({ type: 'yarn', factor: 4, betaFast: 32, betaSlow: 1, originalMaxPositions: 32, truncate: true });
});

test("a table of rotary frequencies is taken for the rule of Llama 3 that makes it, and refused where it is no one's", () => {
  const bytes = tinyLlama();
  const header = parseGgufHeader(bytes, bytes.length);
  const rule = { factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 8192 };
  const plain = ropeFrequencies(32, 100_000).perPosition;
  const scaled = ropeFrequencies(32, 100_000, { type: 'llama3', ...rule }).perPosition;
  const table = Float32Array.from(plain, (frequency, pair) => frequency / (scaled[pair] as number));
  expect(configFromGguf(header, table).ropeScaling).toEqual({ type: 'llama3', ...rule });
  expect(configFromGguf(header, new Float32Array(16).fill(1)).ropeScaling).toBeUndefined();
  for (const wrong of [table.map((divisor) => divisor + 0.01), table.slice(1), new Float32Array(16)])
    expect(() => configFromGguf(header, wrong)).toThrow("rope_freqs.weight is not the table of Llama 3's scaling");
});

test('features that the graph does not have are refused by name', () => {
  const u32 = (value: number): GgufEntry => ({ type: 'u32', value });
  const text = (value: string): GgufEntry => ({ type: 'string', value });
  expect(configRefusal({ 'general.architecture': text('phi3') })).toBe(
    'WEFT_MODEL_UNSUPPORTED gguf: the architecture is phi3; Weft trains llama, qwen2, qwen3, smollm3, gemma3',
  );
  expect(configRefusal({ 'llama.rope.scaling.type': text('longrope') })).toContain('rope_scaling of type longrope');
  expect(configRefusal({ 'llama.rope.scaling.type': text('yarn'), 'llama.rope.scaling.alpha': u32(2) })).toContain(
    'the model uses rope.scaling.alpha',
  );
  expect(configRefusal({ 'llama.expert_count': u32(8) })).toContain('mixture of experts');
  expect(configRefusal({ 'llama.final_logit_softcapping': u32(30) })).toContain('final_logit_softcapping');
  expect(() => asArchitecture('qwen2', { 'llama.attention.sliding_window': u32(4096) })).toThrow('sliding_window');
  expect(configRefusal({ 'llama.rope.dimension_count': u32(16) })).toContain(
    'rotary embedding turns 16 of 32 dimensions',
  );
});

test('a configuration whose numbers do not fit together is refused', () => {
  const u32 = (value: number): GgufEntry => ({ type: 'u32', value });
  expect(configRefusal({}, ['llama.block_count'])).toBe(
    'WEFT_MODEL_CORRUPT gguf: llama.block_count is no whole number above 0',
  );
  expect(configRefusal({ 'llama.attention.head_count': u32(3) })).toContain('WEFT_MODEL_CORRUPT');
  expect(configRefusal({ 'llama.block_count': u32(100_000) })).toBe(
    'WEFT_MODEL_LIMIT layers is 100000, the limit is 512',
  );
});
