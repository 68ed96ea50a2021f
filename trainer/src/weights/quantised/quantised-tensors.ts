import { WeftError } from '@weft/shared';
import type { ModelConfig } from '../../models/model.ts';
import { toBytes } from '../half.ts';
import type { LevelsToWrite, TensorToWrite } from '../safetensors/write.ts';
import type { StoredDtype, TensorRef } from '../tensor-ref.ts';
import type { TrainingBase } from './training-base.ts';
import { int4Block, quantiseInt4 } from './int4.ts';
import { type ColumnLevels, quantiseInt8 } from './int8.ts';
import { rowPieces } from './row-pieces.ts';

/** Base weights in a file of the cache: vectors in float32 by their name, matrices as parts (see `partName`). */
export type QuantisedTensors = ReadonlyMap<string, TensorRef<StoredDtype>>;

/** `forward` and `backward` as in Int8Weight, `blocks` as in BlockLevels. */
export type QuantisedPart = 'forward' | 'backward' | 'blocks';

/** Name of a part's levels or scales in the file. */
export const partName = (weight: string, part: QuantisedPart, what: 'levels' | 'scales'): string =>
  `${weight}/${part}.${what}`;

type Written = (TensorToWrite | LevelsToWrite) & { readonly data: () => AsyncIterable<Uint8Array> };

/**
 * What the cache's file holds: for fp16 and bf16 each matrix in half the bytes, for int8 both forms of each matrix, for int4
 * blocks; there the embedding and the head are int8 all the same, since a head of blocks would be widened whole.
 */
export function tensorsToWrite(
  base: Exclude<TrainingBase, 'fp32'>,
  config: Pick<ModelConfig, 'tieWordEmbeddings'>,
  tensors: ReadonlyMap<string, TensorRef>,
  signal?: AbortSignal,
): Written[] {
  return [...tensors.values()].flatMap((ref): Written[] => {
    const { name } = ref;
    const [out, inner] = ref.shape;
    if (out === undefined || inner === undefined)
      return [{ ...floatShape(ref), dtype: 'F32', data: floats(ref, 'F32', signal) }];
    if (base === 'fp16' || base === 'bf16') {
      const dtype = base === 'fp16' ? 'F16' : ref.dtype === 'F32' ? 'BF16' : ref.dtype;
      return [{ ...floatShape(ref), dtype, data: floats(ref, dtype, signal) }];
    }
    const vocabulary = name === 'model.embed_tokens.weight' || name === 'lm_head.weight';
    if (base === 'int4' && !vocabulary) return blockTensors(ref, [out, inner], signal);
    // Rows are read from an embedding that is no head; nothing flows back.
    const looked = name === 'model.embed_tokens.weight' && !config.tieWordEmbeddings;
    return columnTensors(ref, [out, inner], looked ? ['forward'] : ['forward', 'backward'], vocabulary, signal);
  });
}

const floatShape = ({ name, shape }: TensorRef): Pick<TensorToWrite, 'name' | 'shape'> => ({ name, shape });

const floats = (ref: TensorRef, dtype: TensorToWrite['dtype'], signal?: AbortSignal) =>
  async function* read(): AsyncGenerator<Uint8Array> {
    for await (const { values } of rowPieces(ref, signal)()) {
      refuseNonFinite(ref.name, values);
      if (dtype === 'F16') refuseOverflow(ref.name, values);
      yield toBytes(values, dtype);
    }
  };

function columnTensors(
  ref: TensorRef,
  [out, inner]: readonly [number, number],
  parts: readonly ('forward' | 'backward')[],
  centred: boolean,
  signal?: AbortSignal,
): Written[] {
  const made = once(async () => {
    const weight = await quantiseInt8(rowPieces(ref, signal), [out, inner], { centred });
    refuseNonFinite(ref.name, weight.forward.scales);
    return weight;
  }, 2 * parts.length);
  return parts.flatMap((part): Written[] => {
    const shape = part === 'forward' ? [inner, out] : [out, inner];
    const bytesOf = (what: keyof ColumnLevels) =>
      async function* read(): AsyncGenerator<Uint8Array> {
        yield bytes((await made())[part][what]);
      };
    return [
      { name: partName(ref.name, part, 'levels'), dtype: 'I8', shape, data: bytesOf('levels') },
      { name: partName(ref.name, part, 'scales'), dtype: 'F32', shape: shape.slice(1), data: bytesOf('scales') },
    ];
  });
}

function blockTensors(ref: TensorRef, [out, inner]: readonly [number, number], signal?: AbortSignal): Written[] {
  if (inner % int4Block !== 0) {
    const feature = `rows of ${inner} weights`;
    throw new WeftError(
      'WEFT_BASE_UNSUPPORTED',
      `${ref.name} has ${feature}, and int4 needs a multiple of ${int4Block}`,
      { tensor: ref.name, feature },
    );
  }
  const made = once(async () => {
    const weight = await quantiseInt4(rowPieces(ref, signal), [out, inner]);
    refuseNonFinite(ref.name, weight.scales);
    return weight;
  }, 2);
  const bytesOf = (what: 'levels' | 'scales') =>
    async function* read(): AsyncGenerator<Uint8Array> {
      yield bytes((await made())[what]);
    };
  const scaleShape = [out, inner / int4Block];
  return [
    { name: partName(ref.name, 'blocks', 'levels'), dtype: 'U8', shape: [out, inner / 2], data: bytesOf('levels') },
    { name: partName(ref.name, 'blocks', 'scales'), dtype: 'F32', shape: scaleShape, data: bytesOf('scales') },
  ];
}

const bytes = ({ buffer, byteOffset, byteLength }: Int8Array | Uint8Array | Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Made at the first call, forgotten after `uses`: a weight's parts are written one after the other. */
function once<T>(make: () => Promise<T>, uses: number): () => Promise<T> {
  let made: Promise<T> | undefined;
  let left = uses;
  return () => {
    const value = (made ??= make());
    if (--left === 0) made = undefined;
    return value;
  };
}

/** From here on float16 rounds to infinity; its largest number is 65504. */
const float16Overflow = 65520;

function refuseOverflow(name: string, values: Float32Array): void {
  const beyond = values.find((value) => Math.abs(value) >= float16Overflow);
  if (beyond === undefined) return;
  const feature = 'values beyond float16';
  const what = `${name} holds ${beyond}, and float16 reaches to 65504`;
  throw new WeftError('WEFT_BASE_UNSUPPORTED', what, { tensor: name, feature });
}

function refuseNonFinite(name: string, values: Float32Array): void {
  if (values.every((value) => Number.isFinite(value))) return;
  const feature = 'values that are not finite';
  throw new WeftError('WEFT_BASE_UNSUPPORTED', `${name} holds ${feature}`, { tensor: name, feature });
}
