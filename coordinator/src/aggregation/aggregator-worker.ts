import { parentPort } from 'node:worker_threads';
import { decodeRange, decodeSum, faultOfSum } from '@weft/shared';
import { Accumulator } from './accumulator.ts';
import type { AggregationResult, AggregatorAnswer, AggregatorRequest } from './aggregator-messages.ts';
import { RuleAggregation } from './rules/by-ranges.ts';
import { serverStep } from './server-optimizer.ts';
import { ShardMeans } from './shard-means.ts';

const nothing = { words: 0, bits: 8 };
let accumulator = new Accumulator(nothing);
/** Of all shards whose sums held. */
let total: Accumulator | undefined;
let shardMeans = new ShardMeans();
let byRule: { readonly aggregation: RuleAggregation; readonly nodes: number } | undefined;

function answer(request: AggregatorRequest): Exclude<AggregatorAnswer, { error: string }> {
  if (request.kind === 'endSum') return { fault: endSum(request) };
  const result = work(request);
  return result === undefined ? {} : { result };
}

function endSum(request: Extract<AggregatorRequest, { kind: 'endSum' }>): string | undefined {
  const { encoding, summed, isTested, keepsMean } = request;
  const sum = accumulator.sum();
  const fault = isTested ? faultOfSum(encoding, sum, summed.nodes) : undefined;
  if (fault === undefined) {
    if (keepsMean) shardMeans.add(decodeSum(encoding, sum, summed).meanDelta);
    if (total === undefined) total = accumulator;
    else total.addSum(sum);
  }
  accumulator = new Accumulator(nothing);
  return fault;
}

function work(request: Exclude<AggregatorRequest, { kind: 'endSum' }>): AggregationResult | undefined {
  switch (request.kind) {
    case 'begin':
      accumulator = new Accumulator(request.encoding.offered);
      if (request.sum === 0) {
        total = undefined;
        shardMeans = new ShardMeans();
      }
      return undefined;
    case 'piece':
      accumulator.add(request.bytes);
      return undefined;
    case 'endUpdate':
      accumulator.endUpdate();
      return undefined;
    case 'unmask':
      accumulator.addMasks(request.masks);
      return undefined;
    case 'finish': {
      if (total === undefined) throw new Error('no sum is there to be applied');
      const { previous, server, momentum, trimShare } = request;
      const { meanDelta, ...counted } = decodeSum(request.encoding, total.sum(), request.summed);
      const aggregate = trimShare === undefined ? meanDelta : shardMeans.trimmedMean(trimShare);
      total = undefined;
      shardMeans = new ShardMeans();
      return { ...serverStep(previous, aggregate, server, momentum), ...counted };
    }
    case 'beginRule': {
      const { settings, nodes, values } = request;
      byRule = { aggregation: new RuleAggregation(settings, nodes, values), nodes };
      return undefined;
    }
    case 'measure':
    case 'combine': {
      const updates = request.updates.map((bytes) => decodeRange(request.encoding, bytes));
      if (request.kind === 'measure') byRule?.aggregation.measure(updates);
      else byRule?.aggregation.combine(request.from, updates);
      return undefined;
    }
    case 'finishRule': {
      if (byRule === undefined) throw new Error('no aggregation by a rule has begun');
      const { aggregation, nodes } = byRule;
      byRule = undefined;
      return {
        ...serverStep(request.previous, aggregation.aggregate, request.server, request.momentum),
        weightSum: nodes,
      };
    }
  }
}

parentPort?.on('message', (request: AggregatorRequest) => {
  let reply: AggregatorAnswer;
  try {
    reply = answer(request);
  } catch (error) {
    reply = { error: error instanceof Error ? error.message : String(error) };
  }
  parentPort?.postMessage(reply);
});
