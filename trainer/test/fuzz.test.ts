import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isWeftError } from '@weft/shared';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parquetRecords } from '../src/data/parquet/parquet-records.ts';
import { readRecords } from '../src/data/read-records.ts';
import { tokenizerFromGguf } from '../src/tokenizer/from-gguf.ts';
import { createTokenizer } from '../src/tokenizer/byte-pair-tokenizer.ts';
import { parseTokenizerJson } from '../src/tokenizer/tokenizer-json.ts';
import { parseConfigJson } from '../src/weights/config-json.ts';
import { dequantise } from '../src/weights/gguf/dequantise.ts';
import { parseGgufHeader } from '../src/weights/gguf/header.ts';
import { configFromGguf } from '../src/weights/gguf/model-config.ts';
import { ggufTensorTypes, type GgufTensorType } from '../src/weights/gguf/tensor-types.ts';
import {
  floatDtypes,
  lengthFieldBytes,
  parseHeaderLength,
  parseSafetensorsHeader,
} from '../src/weights/safetensors/header.ts';
import { parseIndex } from '../src/weights/safetensors/sharded.ts';
import { damaged } from './damaged-bytes.ts';
import { tinyLlama } from './gguf-file.ts';

/** Every reader of bytes that others wrote either reads them or throws a catalogued error, and asks for little memory. */

const allowedGrowthKib = 256 * 1024;
let before: number;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-fuzz-'));
  before = process.resourceUsage().maxRSS;
});
afterEach(() => rm(folder, { recursive: true }));

/** What became of an input; throws what is no catalogued error, and what a user would not understand. */
function outcome(parse: () => unknown): 'read' | 'refused' {
  try {
    parse();
    return 'read';
  } catch (error) {
    if (!isWeftError(error) || error.code === 'WEFT_INTERNAL') throw error;
    return 'refused';
  }
}

const grownKib = (): number => process.resourceUsage().maxRSS - before;

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/** Text that no reader looks at, so that some of the damage is harmless. */
const harmless = 'x'.repeat(600);

test('damaged GGUF headers are read or refused', () => {
  const whole = tinyLlama();
  const dataStart = Math.min(...[...parseGgufHeader(whole, whole.length).tensors.values()].map(({ offset }) => offset));
  const seen = new Set<string>();
  fc.assert(
    fc.property(damaged(whole, dataStart), (bytes) => {
      seen.add(
        outcome(() => {
          const header = parseGgufHeader(bytes, bytes.length);
          configFromGguf(header);
          tokenizerFromGguf(header.metadata).encode('text ñ <s>');
          for (const { offset, sizeBytes } of header.tensors.values())
            expect(offset + sizeBytes).toBeLessThanOrEqual(bytes.length);
        }),
      );
    }),
    { numRuns: 1500 },
  );
  expect(seen).toEqual(new Set(['read', 'refused']));
  expect(grownKib()).toBeLessThan(allowedGrowthKib);
});

test('blocks of any bytes unpack to the values that fill the tensor, and no others', () => {
  const types = Object.keys(ggufTensorTypes) as GgufTensorType[];
  fc.assert(
    fc.property(
      fc.constantFrom(...types),
      fc.integer({ min: 1, max: 3 }),
      fc.infiniteStream(fc.nat(255)),
      (type, blocks, any) => {
        const { blockBytes, blockElements } = ggufTensorTypes[type];
        const room = new Float32Array(blocks * blockElements + 2).fill(7);
        const values = room.subarray(1, -1).fill(Number.POSITIVE_INFINITY);
        const finite = Uint8Array.from(any.take(blocks * blockBytes), (byte) => byte & 0x3b);
        dequantise(type, finite, values);
        expect(values.every(Number.isFinite)).toBe(true);
        expect([room[0], room.at(-1)]).toEqual([7, 7]);
      },
    ),
    { numRuns: 500 },
  );
});

test('damaged safetensors headers are read or refused', () => {
  const header = json({
    __metadata__: { format: 'pt', harmless },
    a: { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16] },
    b: { dtype: 'BF16', shape: [4], data_offsets: [16, 24] },
  });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const whole = Buffer.concat([length, header, Buffer.alloc(24)]);
  const seen = new Set<string>();
  fc.assert(
    fc.property(damaged(whole), (bytes) => {
      seen.add(
        outcome(() => {
          const headerBytes = parseHeaderLength(bytes.subarray(0, lengthFieldBytes), bytes.length);
          const { tensors } = parseSafetensorsHeader(
            bytes.subarray(lengthFieldBytes, lengthFieldBytes + headerBytes),
            bytes.length,
            floatDtypes,
          );
          for (const { offset, sizeBytes } of tensors) expect(offset + sizeBytes).toBeLessThanOrEqual(bytes.length);
        }),
      );
    }),
    { numRuns: 3000 },
  );
  expect(seen).toEqual(new Set(['read', 'refused']));
  expect(grownKib()).toBeLessThan(allowedGrowthKib);
});

test('damaged safetensors indexes are read or refused, and never name a path', () => {
  const whole = json({ metadata: { harmless }, weight_map: { a: 'model-1.safetensors', b: 'model-2.safetensors' } });
  const seen = new Set<string>();
  fc.assert(
    fc.property(damaged(whole), (bytes) => {
      seen.add(
        outcome(() => {
          for (const name of parseIndex(bytes.toString()).values()) expect(name).toMatch(/^[^/\\]+\.safetensors$/);
        }),
      );
    }),
    { numRuns: 3000 },
  );
  expect(seen).toEqual(new Set(['read', 'refused']));
  expect(grownKib()).toBeLessThan(allowedGrowthKib);
});

test('any JSON in place of an index, a configuration or a tokenizer is read or refused', () => {
  const anything = fc.oneof(
    fc.json(),
    fc.json().map((text) => `{"weight_map":${text},"model_type":"llama","model":${text},"pre_tokenizer":${text}}`),
  );
  fc.assert(
    fc.property(anything, (text) => {
      for (const parse of [parseIndex, parseConfigJson, parseTokenizerJson]) {
        expect(outcome(() => parse(text))).toMatch(/read|refused/);
      }
    }),
    { numRuns: 2000 },
  );
});

test('damaged configurations are read or refused', () => {
  const whole = json({
    harmless,
    model_type: 'llama',
    hidden_size: 8,
    intermediate_size: 12,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    vocab_size: 260,
    max_position_embeddings: 64,
    rms_norm_eps: 1e-5,
    rope_parameters: { rope_theta: 1e4, rope_type: 'default' },
    eos_token_id: [1, 2],
  });
  const seen = new Set<string>();
  fc.assert(
    fc.property(damaged(whole), (bytes) => void seen.add(outcome(() => parseConfigJson(bytes.toString())))),
    { numRuns: 3000 },
  );
  expect(seen).toEqual(new Set(['read', 'refused']));
  expect(grownKib()).toBeLessThan(allowedGrowthKib);
});

test('damaged tokenizers are read or refused, and those that are read encode', () => {
  const whole = json({
    harmless,
    added_tokens: [{ id: 4, content: '<s>', special: true }],
    normalizer: {
      type: 'Sequence',
      normalizers: [{ type: 'NFC' }, { type: 'Replace', pattern: { String: 'x' }, content: 'a' }],
    },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Digits' },
        { type: 'Split', pattern: { Regex: '\\s+|\\S+' }, behavior: 'Isolated' },
        { type: 'ByteLevel' },
      ],
    },
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2, Ġ: 3 }, merges: ['a b'] },
  });
  const seen = new Set<string>();
  const roles = { bosTokenId: undefined, eosTokenId: undefined, padTokenId: undefined, chatTemplate: undefined };
  fc.assert(
    fc.property(damaged(whole), (bytes) => {
      seen.add(outcome(() => createTokenizer(parseTokenizerJson(bytes.toString()), roles).encode('ab xab <s>')));
    }),
    { numRuns: 3000 },
  );
  expect(seen).toEqual(new Set(['read', 'refused']));
  expect(grownKib()).toBeLessThan(allowedGrowthKib);
});

test('damaged data files are read or refused, without a word of what they hold', async () => {
  const secret = 'Ωmega-secret';
  const lines = [
    { text: secret },
    { prompt: secret, completion: secret },
    { messages: [{ role: 'user', content: secret }] },
    { input_ids: [1, 2, 3], labels: [-100, 2, 3] },
  ];
  const whole = Buffer.from(lines.map((line) => JSON.stringify(line)).join('\n'));
  const seen = new Set<string>();
  const property = fc.asyncProperty(
    damaged(whole),
    fc.constantFrom('jsonl', 'txt', 'md', 'csv'),
    async (bytes, extension) => {
      const file = join(folder, `data.${extension}`);
      await writeFile(file, bytes);
      try {
        await readRecords([file]);
        seen.add('read');
      } catch (error) {
        if (!isWeftError(error)) throw error;
        seen.add('refused');
        expect(error.cause).toBeUndefined();
        expect(error.message + JSON.stringify(error.details)).not.toContain('secret');
      }
    },
  );
  await fc.assert(property, { numRuns: 500 });
  expect(seen).toEqual(new Set(['read', 'refused']));
  expect(grownKib()).toBeLessThan(allowedGrowthKib);
});

test('damaged Parquet files are read or refused, by a reader that always comes back', async () => {
  const golden: Record<string, { file: string; rows?: unknown[] }> = JSON.parse(
    readFileSync(new URL('golden/tables.json', import.meta.url), 'utf8'),
  );
  const whole = Object.values(golden).flatMap(({ file, rows }) => (rows ? [Buffer.from(file, 'base64')] : []));
  const seen = new Set<string>();
  const property = fc.asyncProperty(fc.oneof(...whole.map((bytes) => damaged(bytes))), async (bytes) => {
    const file = join(folder, 'data.parquet');
    await writeFile(file, bytes);
    try {
      for await (const { content } of parquetRecords(file, { stallMs: 5_000 })) expect(content).toBeDefined();
      seen.add('read');
    } catch (error) {
      if (!isWeftError(error) || error.code === 'WEFT_INTERNAL') throw error;
      seen.add('refused');
      expect(error.cause).toBeUndefined();
    }
  });
  await fc.assert(property, { numRuns: 50 });
  expect(seen).toEqual(new Set(['read', 'refused']));
  expect(grownKib()).toBeLessThan(allowedGrowthKib);
});
