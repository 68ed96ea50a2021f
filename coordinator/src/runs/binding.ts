import type { Update } from '@weft/proto';
import {
  factorSize,
  isSha256,
  updateEncoding,
  WeftError,
  type AdapterLayout,
  type ErrorCode,
  type NodeId,
  type UpdateEncoding,
} from '@weft/shared';
import type { RunState } from '../round/index.ts';
import type { BlobInfo } from '../store/events.ts';
import { toProtoFactor } from './offers.ts';

export interface BoundUpdate {
  readonly payload: BlobInfo;
  readonly weight: number;
  readonly values: number;
  readonly clipped: boolean;
  readonly saturatedValues: number;
  readonly encoding: UpdateEncoding;
  /** What arrives is uniform noise to the coordinator: nothing about its words can be checked. */
  readonly masked: boolean;
}

/**
 * An update counts for exactly one run, round, node, base model, layout, adapter and factor. Whoever signed something
 * else is told which of them is wrong, with both values.
 */
export function checkBinding(update: Update, nodeId: NodeId, state: RunState, layout: AdapterLayout): BoundUpdate {
  const { spec, round, factor, adapter, layoutSha256, clipNormL2, runId } = state;
  const values = factorSize(layout, factor);
  const encoding = updateEncoding(spec, values, clipNormL2);
  const { payloadBytes } = encoding;
  const { bits, weightCap } = encoding.offered;
  same('WEFT_UPDATE_WRONG_NODE', 'node', update.nodeId, nodeId);
  same('WEFT_UPDATE_WRONG_RUN', 'run', update.runId, runId);
  same('WEFT_UPDATE_WRONG_ROUND', 'round', update.round, round);
  same('WEFT_UPDATE_WRONG_MODEL', 'base model', update.baseModelSha256, spec.baseModel.sha256);
  same('WEFT_UPDATE_WRONG_LAYOUT', 'layout', update.layoutSha256, layoutSha256);
  same('WEFT_UPDATE_WRONG_ADAPTER', 'adapter', update.previousAdapterSha256, adapter.sha256);
  same('WEFT_UPDATE_WRONG_FACTOR', 'factor', update.factor, toProtoFactor[factor]);
  same('WEFT_UPDATE_WRONG_RING', 'number of ring bits', update.ringBits, bits);
  same('WEFT_UPDATE_WRONG_LENGTH', 'number of values', update.values, BigInt(values));
  same('WEFT_UPDATE_WRONG_LENGTH', 'number of bytes', update.payloadBytes, BigInt(payloadBytes));
  const masked = spec.aggregation.mode === 'secure';
  if (masked && (update.weight !== 0n || update.clipped || update.saturatedValues !== 0n)) {
    throw new WeftError(
      'WEFT_UPDATE_WRONG_WEIGHT',
      `the update says something of its contents (weight ${update.weight}); under secure aggregation it travels masked`,
    );
  }
  if (!masked && (update.weight < 1n || update.weight > BigInt(weightCap))) {
    throw new WeftError(
      'WEFT_UPDATE_WRONG_WEIGHT',
      `the update's weight is ${update.weight}, the limit is ${weightCap}`,
    );
  }
  if (!isSha256(update.payloadSha256) || update.saturatedValues > BigInt(values)) {
    throw new WeftError(
      'WEFT_MESSAGE_MALFORMED',
      'an update names no payload hash, or more saturated values than it has',
    );
  }
  return {
    payload: { sha256: update.payloadSha256, sizeBytes: payloadBytes },
    weight: Number(update.weight),
    values,
    clipped: update.clipped,
    saturatedValues: Number(update.saturatedValues),
    encoding,
    masked,
  };
}

function same<T extends string | number | bigint>(code: ErrorCode, what: string, actual: T, expected: T): void {
  if (actual !== expected) throw new WeftError(code, `the update's ${what} is ${actual}, expected is ${expected}`);
}
