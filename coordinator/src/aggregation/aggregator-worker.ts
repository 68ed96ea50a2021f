import { parentPort } from 'node:worker_threads';
import { bytesToRingWords, dequantizeSum, dequantizeValues, privacy } from '@weft/shared';
import { Accumulator } from './accumulator.ts';
import type { AggregationResult, AggregatorAnswer, AggregatorRequest } from './aggregator-messages.ts';
import { RuleAggregation } from './rules/by-ranges.ts';
import { serverStep } from './server-optimizer.ts';

let accumulator = new Accumulator(0);
let byRule: { readonly aggregation: RuleAggregation; readonly nodes: number } | undefined;

function answer(request: AggregatorRequest): AggregationResult | undefined {
  switch (request.kind) {
    case 'begin':
      accumulator = new Accumulator(request.words - 1);
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
      const { noise } = request;
      const { meanDelta, weightSum } = noise
        ? { meanDelta: privacy.decodeNoisySum(accumulator.words, noise, noise), weightSum: noise.nodes }
        : dequantizeSum(accumulator.words, request);
      accumulator = new Accumulator(0);
      return { ...serverStep(request.previous, meanDelta, request.server, request.momentum), weightSum };
    }
    case 'beginRule': {
      const { settings, nodes, values } = request;
      byRule = { aggregation: new RuleAggregation(settings, nodes, values), nodes };
      return undefined;
    }
    case 'measure':
    case 'combine': {
      const updates = request.updates.map((bytes) => dequantizeValues(bytesToRingWords(bytes), request.clipNormL2));
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
    const result = answer(request);
    reply = result === undefined ? {} : { result };
  } catch (error) {
    reply = { error: error instanceof Error ? error.message : String(error) };
  }
  parentPort?.postMessage(reply);
});
