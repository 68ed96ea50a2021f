import { createSeededRandom, type NodeId, type RunId } from '@weft/shared';

/** What with the offer's seed fixes everything random that a node does in a round. */
export interface RoundSubject {
  readonly batchSeed: bigint;
  readonly runId: RunId;
  readonly round: number;
  readonly nodeId: NodeId;
}

const seedOf = (purpose: string, { batchSeed, runId, round, nodeId }: RoundSubject): string =>
  `${purpose}/${batchSeed}/${runId}/${round}/${nodeId}`;

/** The seed that train() orders this round's batches by. */
export const batchOrderSeed = (subject: RoundSubject): number =>
  createSeededRandom(seedOf('batches', subject)).uint32();

/** The seed of the stochastic rounding in this round. */
export const roundingSeed = (subject: RoundSubject): string => seedOf('rounding', subject);
