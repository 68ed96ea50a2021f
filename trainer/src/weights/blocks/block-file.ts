import { isWeftError } from '@weft/shared';
import { readSafetensorsHeader } from '../safetensors/read.ts';
import { type TensorToWrite, writeSafetensors } from '../safetensors/write.ts';
import type { TensorRef } from '../tensor-ref.ts';
import {
  type BlockForm,
  blockLength,
  type Blocks,
  type BlockTensor,
  type BlockTensors,
  stackKey,
} from './block-tensor.ts';

/** Raised when the bytes that one source gives change: older cache files are then made again. */
const blocksVersion = '2';
/** Values in memory at a time. */
const pieceElements = 4 * 1024 * 1024;

/** A tensor that goes into the file, in blocks where it has a form and as float32 where it has none. */
export interface BlockSource {
  readonly name: string;
  readonly shape: readonly number[];
  readonly form: BlockForm | undefined;
  /** Rows are asked for in multiples of this. */
  readonly rowStep: number;
  blocks(row: number, count: number): Promise<Blocks>;
  floats(row: number, count: number): Promise<Float32Array>;
}

/** What a block file holds. */
export interface BlockFile {
  readonly tensors: ReadonlyMap<string, TensorRef>;
  readonly blocks: BlockTensors;
}

/** Matrices that are multiplied with the same rows: stacked, one product does for all. */
const stacks = [
  ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'],
  ['mlp.gate_proj', 'mlp.up_proj'],
];

/**
 * Writes a safetensors file with the three parts of each matrix, `NAME.codes`, `NAME.scales` and `NAME.offsets`, and the
 * other tensors as they are. The format's bytes are declared as float32 words: nothing but this module reads them.
 */
export async function writeBlockFile(
  file: string,
  sources: readonly BlockSource[],
  identity: string,
  options: { signal?: AbortSignal | undefined; beforeRename?: () => Promise<void>; onBytes?: (bytes: number) => void },
): Promise<void> {
  const plain = sources.filter(({ form }) => !form);
  const tensors = [
    ...plain.map((source): TensorToWrite => ({
      name: source.name,
      dtype: 'F32',
      shape: source.shape,
      data: () => floatPieces(source),
    })),
    ...stacked(sources.filter(({ form }) => form)).flatMap((stack) => partsOf(stack, options.onBytes)),
  ];
  const { signal, beforeRename } = options;
  await writeSafetensors(file, tensors, {
    metadata: { 'weft.blocks': blocksVersion, 'weft.blocks_of': identity },
    ...(signal && { signal }),
    ...(beforeRename && { beforeRename }),
  });
}

/** A block file that is whole, of this version and of this source; anything else must be made again. */
export async function readBlockFile(file: string, identity: string): Promise<BlockFile | undefined> {
  try {
    const { tensors: windows, metadata } = await readSafetensorsHeader(file);
    if (metadata['weft.blocks'] !== blocksVersion || metadata['weft.blocks_of'] !== identity) return undefined;
    const tensors = new Map<string, TensorRef>();
    const blocks = new Map<string, BlockTensor>();
    for (const [name, codes] of windows) {
      const key = /^(.+)\.codes$/.exec(name)?.[1];
      if (key === undefined) {
        if (!/\.(scales|offsets)$/.test(name)) tensors.set(name, codes);
        continue;
      }
      const scales = windows.get(`${key}.scales`);
      const offsets = windows.get(`${key}.offsets`);
      const [rows = 0, perRow = 0] = scales?.shape ?? [];
      const bits = codes.sizeBytes * 8 === rows * perRow * blockLength * 8 ? 8 : 4;
      if (!scales || codes.sizeBytes * 8 !== rows * perRow * blockLength * bits) return undefined;
      const form = { bits, hasOffsets: offsets !== undefined } as const;
      blocks.set(key, { form, shape: [rows, perRow * blockLength], codes, scales, ...(offsets && { offsets }) });
    }
    return { tensors, blocks };
  } catch (error) {
    if (isWeftError(error)) return undefined;
    throw error;
  }
}

function stacked(matrices: readonly BlockSource[]): BlockSource[][] {
  const byName = new Map(matrices.map((matrix) => [matrix.name, matrix]));
  const done = new Set<string>();
  const result: BlockSource[][] = [];
  for (const matrix of matrices) {
    if (done.has(matrix.name)) continue;
    const [, prefix = '', module = ''] = /^(.+\.\d+\.)(.+)\.weight$/.exec(matrix.name) ?? [];
    const members = stacks
      .find((stack) => stack.includes(module))
      ?.flatMap((member) => byName.get(`${prefix}${member}.weight`) ?? []);
    const alike = members?.every(
      ({ form }) => form?.bits === matrix.form?.bits && form?.hasOffsets === matrix.form?.hasOffsets,
    );
    const stack = members && alike ? members : [matrix];
    for (const { name } of stack) done.add(name);
    result.push(stack);
  }
  return result;
}

function partsOf(stack: readonly BlockSource[], onBytes: ((bytes: number) => void) | undefined): TensorToWrite[] {
  const key = stackKey(stack.map(({ name }) => name));
  const form = stack[0]?.form ?? { bits: 8, hasOffsets: false };
  const columns = stack[0]?.shape[1] ?? 0;
  const rows = stack.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0);
  const perRow = columns / blockLength;
  async function* part(bytesOf: (blocks: Blocks) => Uint8Array): AsyncGenerator<Uint8Array> {
    for await (const blocks of piecesOf(stack)) yield bytesOf(blocks);
  }
  const parts: TensorToWrite[] = [
    {
      name: `${key}.codes`,
      dtype: 'F32',
      shape: [rows, (columns * form.bits) / 32],
      data: () =>
        part(({ codes }) => {
          onBytes?.(codes.byteLength);
          return codes;
        }),
    },
    { name: `${key}.scales`, dtype: 'F32', shape: [rows, perRow], data: () => part(({ scales }) => bytesOf(scales)) },
  ];
  if (form.hasOffsets) {
    const data = async function* (): AsyncGenerator<Uint8Array> {
      const transposed = new Float32Array(rows * perRow);
      let row = 0;
      for await (const { offsets = new Float32Array() } of piecesOf(stack)) {
        for (let i = 0; i < offsets.length; i++)
          transposed[(i % perRow) * rows + row + Math.floor(i / perRow)] = offsets[i] as number;
        row += offsets.length / perRow;
      }
      yield bytesOf(transposed);
    };
    parts.push({ name: `${key}.offsets`, dtype: 'F32', shape: [perRow, rows], data });
  }
  return parts;
}

async function* piecesOf(stack: readonly BlockSource[]): AsyncGenerator<Blocks> {
  for (const source of stack) {
    for (const [row, count] of pieces(source)) yield await source.blocks(row, count);
  }
}

async function* floatPieces(source: BlockSource): AsyncGenerator<Uint8Array> {
  for (const [row, count] of pieces(source)) yield bytesOf(await source.floats(row, count));
}

/** Rows in pieces: first row and count of each. A vector is one row. */
function* pieces({ shape, rowStep }: BlockSource): Generator<[number, number]> {
  const rows = shape.length === 1 ? 1 : (shape[0] ?? 0);
  const columns = shape.at(-1) ?? 1;
  const step = Math.max(rowStep, Math.floor(pieceElements / columns / rowStep) * rowStep);
  for (let row = 0; row < rows; row += step) yield [row, Math.min(step, rows - row)];
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
