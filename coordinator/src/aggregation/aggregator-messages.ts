import type { secagg, UpdateEncoding } from '@weft/shared';
import type { RuleSettings } from './rules/rule.ts';
import type { ServerSettings } from './server-optimizer.ts';

export type AggregatorRequest =
  | { readonly kind: 'begin'; readonly encoding: UpdateEncoding }
  | { readonly kind: 'piece'; readonly bytes: Uint8Array }
  | { readonly kind: 'endUpdate' }
  /** Take the masks off the sum. */
  | { readonly kind: 'unmask'; readonly masks: readonly secagg.MaskTerm[] }
  | {
      readonly kind: 'finish';
      readonly encoding: UpdateEncoding;
      readonly summed: SummedUpdates;
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
  /** The number of them. */
  readonly nodes: number;
  readonly rotationSeed: string;
}

export interface AggregationResult {
  /** The trained factor after the server's step, in layout order. */
  readonly next: Float32Array;
  readonly momentum?: Float64Array;
  readonly weightSum: number;
  /** In a run that adapts its clip norm. */
  readonly withinShare?: number;
  readonly stepNormL2: number;
}

/** Answers come in the order of the requests, one each. */
export type AggregatorAnswer = { readonly result?: AggregationResult } | { readonly error: string };
