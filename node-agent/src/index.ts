export { startNode, type NodeAgent, type NodeOptions } from './agent.ts';
export { joinFederation, type Joined, type JoinOptions } from './enrol.ts';
export type { EventFault, NodeEvent, NodeSummary } from './events.ts';
export { readFederation, type Federation } from './home/federation-file.ts';
export { readSent, type Sent } from './home/sent-record.ts';
export { trustRenewal } from './trust.ts';
export { batchOrderSeed, type RoundSubject } from './round/seeds.ts';
export { createLocalData, type LocalExamples } from './round/local-data.ts';
export { trainRound, type LocalWork, type TrainingOffer } from './round/train-update.ts';
