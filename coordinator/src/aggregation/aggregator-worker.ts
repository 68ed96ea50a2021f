import { parentPort } from 'node:worker_threads';
import { dequantizeSum } from '@weft/shared';
import { Accumulator } from './accumulator.ts';
import type { AggregationResult, AggregatorAnswer, AggregatorRequest } from './aggregator-messages.ts';
import { serverStep } from './server-optimizer.ts';

let accumulator = new Accumulator(0);

function answer(request: AggregatorRequest): AggregationResult | undefined {
  switch (request.kind) {
    case 'begin':
      accumulator = new Accumulator(request.values);
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
      const { meanDelta, weightSum } = dequantizeSum(accumulator.words, request);
      accumulator = new Accumulator(0);
      return { ...serverStep(request.previous, meanDelta, request.server, request.momentum), weightSum };
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
