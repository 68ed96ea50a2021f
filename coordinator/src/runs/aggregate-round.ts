import { endianness } from 'node:os';
import {
  factorSize,
  gatherFactor,
  privacy,
  scatterFactor,
  updateEncoding,
  WeftError,
  type AdapterLayout,
  type NodeId,
  type Sha256,
  type UpdateEncoding,
} from '@weft/shared';
import { encodeAdapter, readAdapter } from '../adapters/adapter-file.ts';
import { gatherState, scatterState } from '../aggregation/factor-slices.ts';
import type { AcceptedUpdate, Aggregate, Effect, RunState } from '../round/index.ts';
import type { BlobInfo } from '../store/events.ts';
import type { RunContext } from './run-context.ts';

interface SummedUpdates extends Pick<Extract<Effect, { kind: 'aggregate' }>, 'shards'> {
  readonly updates: ReadonlyMap<NodeId, Pick<AcceptedUpdate, 'payload'>>;
}

/** What the arithmetic of a round needs of the process around it; an audit has the same. */
export interface AggregateContext extends Pick<RunContext, 'aggregator' | 'onPoint'> {
  readonly blobs: Pick<RunContext['blobs'], 'adapters' | 'updates'>;
  readonly clock: Pick<RunContext['clock'], 'now'>;
}

/** Adds the accepted updates up and makes the next adapter version durable. Doing it again gives the same bytes. */
export async function aggregateRound(
  context: AggregateContext,
  state: Pick<RunState, 'spec' | 'factor' | 'clipNormL2' | 'runId' | 'round' | 'adapter' | 'momentum'>,
  layout: AdapterLayout,
  { updates, shards }: SummedUpdates,
): Promise<Aggregate> {
  const startedAt = context.clock.now();
  const { spec, factor, clipNormL2, runId, round } = state;
  const encoding = updateEncoding(spec, factorSize(layout, factor), clipNormL2);
  const before = await readAdapter(layout, context.blobs.adapters.path(state.adapter.sha256));
  const momentumBefore = state.momentum && (await readMomentum(context, state.momentum));
  const { rule, robust, secure, server } = spec.aggregation;
  const job = {
    encoding,
    server,
    previous: gatherFactor(layout, before, factor),
    momentum: momentumBefore && gatherState(layout, momentumBefore, factor),
  };
  const sums = shards ?? [{ nodeIds: [...updates.keys()], masks: undefined }];
  const { next, momentum, weightSum, withinShare, stepNormL2, refused } =
    rule === 'mean'
      ? await context.aggregator.aggregate({
          ...job,
          rotationSeed: privacy.rotationSeed(runId, round),
          trimShare: secure.shardRule === 'trimmed-mean' ? robust.trimShare : undefined,
          sums: sums.map(({ nodeIds, masks }) => ({
            nodes: nodeIds.length,
            updates: nodeIds.map((nodeId) => readUpdate(context, updates.get(nodeId)!.payload)),
            masks,
          })),
        })
      : await context.aggregator.aggregateByRule({
          ...job,
          settings: { rule, robust },
          updates: inOrder(updates).map(({ payload: { sha256 } }) => readRangeOf(context, encoding, sha256)),
        });
  const after = scatterFactor(layout, before, factor, next);
  const adapter = await context.blobs.adapters.put(await encodeAdapter(layout, after, spec.baseModel));
  const momentumAfter =
    momentum && scatterState(layout, momentumBefore ?? new Float64Array(layout.size), factor, momentum);
  return {
    adapter,
    ...(momentumAfter && { momentum: await context.blobs.adapters.put(toLittleEndian(momentumAfter)) }),
    weightSum,
    ...(refused && {
      refusedShards: refused.map(({ sum, because }) => ({ nodeIds: [...sums[sum]!.nodeIds], because })),
    }),
    deltaNormL2: stepNormL2,
    ...(withinShare !== undefined && { withinShare }),
    finite: Number.isFinite(stepNormL2) && after.every((value) => Number.isFinite(value)),
    seconds: (context.clock.now() - startedAt) / 1000,
  };
}

/** By node: sums of float64 keep their bits in this order only, and a restart may find the updates in another one. */
const inOrder = <T>(updates: ReadonlyMap<string, T>): T[] =>
  [...updates].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, update]) => update);

const readRangeOf =
  ({ blobs }: AggregateContext, { form: { bits } }: UpdateEncoding, sha256: Sha256) =>
  (from: number, to: number): Promise<Uint8Array> =>
    blobs.updates.readRange(sha256, (from * bits) / 8, (to * bits) / 8);

async function* readUpdate(
  { blobs, onPoint }: AggregateContext,
  { sha256, sizeBytes }: BlobInfo,
): AsyncGenerator<Uint8Array> {
  onPoint('before-addition');
  let readBytes = 0;
  for await (const piece of blobs.updates.read(sha256)) {
    readBytes += piece.length;
    yield piece;
  }
  if (readBytes !== sizeBytes)
    throw new WeftError('WEFT_BLOB_MISSING', `an accepted update has ${readBytes} bytes left of ${sizeBytes}`);
  onPoint('after-addition');
}

async function readMomentum({ blobs }: AggregateContext, { sha256 }: BlobInfo): Promise<Float64Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of blobs.adapters.read(sha256)) pieces.push(piece);
  const bytes = new Uint8Array(Buffer.concat(pieces));
  return new Float64Array(swapOnBigEndian(bytes).buffer);
}

const toLittleEndian = (state: Float64Array): Uint8Array => swapOnBigEndian(new Uint8Array(state.slice().buffer));

const swapOnBigEndian = (bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> => {
  if (endianness() === 'BE') Buffer.from(bytes.buffer).swap64();
  return bytes;
};
