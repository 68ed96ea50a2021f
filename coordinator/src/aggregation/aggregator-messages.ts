import type { secagg, UpdateEncoding } from '@weft/shared';
import type { RuleSettings } from './rules/rule.ts';
import type { ServerSettings } from './server-optimizer.ts';

export type AggregatorRequest =
  /** The first sum of a job forgets what an earlier job left. */
  | { readonly kind: 'begin'; readonly encoding: UpdateEncoding; readonly sum: number }
  | { readonly kind: 'piece'; readonly bytes: Uint8Array }
  | { readonly kind: 'endUpdate' }
  /** Take the masks off the sum. */
  | { readonly kind: 'unmask'; readonly masks: readonly secagg.MaskTerm[] }
  /** The sum is complete: it is added to those before it, unless it is to be tested and no honest nodes could have made it. */
  | {
      readonly kind: 'endSum';
      readonly encoding: UpdateEncoding;
      readonly isTested: boolean;
      /** Keep the mean of this sum by itself, for the trimmed mean over all of them. */
      readonly keepsMean: boolean;
      readonly summed: SummedUpdates;
    }
  | {
      readonly kind: 'finish';
      readonly encoding: UpdateEncoding;
      readonly summed: SummedUpdates;
      /** Over the means that were kept; undefined: the mean of all updates. */
      readonly trimShare: number | undefined;
      readonly server: ServerSettings;
      readonly previous: Float32Array;
      readonly momentum: Float64Array | undefined;
    }
  | { readonly kind: 'beginRule'; readonly settings: RuleSettings; readonly nodes: number; readonly values: number }
  | {
      readonly kind: 'measure' | 'combine';
      readonly from: number;
      /** Ring words of one parameter range of every update. */
      readonly updates: readonly Uint8Array[];
      readonly encoding: UpdateEncoding;
    }
  | {
      readonly kind: 'finishRule';
      readonly server: ServerSettings;
      readonly previous: Float32Array;
      readonly momentum: Float64Array | undefined;
    };

export interface SummedUpdates {
  /** The number of them. Where nodes add noise they are divided by it. */
  readonly nodes: number;
  readonly rotationSeed: string;
}

/** A sum that is left out: no honest nodes could have made it. */
export interface RefusedSum {
  /** Which, from 0. */
  readonly sum: number;
  readonly because: string;
}

export interface AggregationResult {
  /** The trained factor after the server's step, in layout order. */
  readonly next: Float32Array;
  readonly momentum?: Float64Array;
  readonly weightSum: number;
  /** In a run that adapts its clip norm. */
  readonly withinShare?: number;
  readonly stepNormL2: number;
  readonly refused?: readonly RefusedSum[];
}

/** Answers come in the order of the requests, one each. */
export type AggregatorAnswer =
  | { readonly result?: AggregationResult; readonly fault?: string | undefined }
  | { readonly error: string };
