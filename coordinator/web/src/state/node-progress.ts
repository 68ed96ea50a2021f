import type { LiveProgress, RoundNodeView } from '@weft/shared';

type NodeStage = RoundNodeView['stage'];

const stageOrder: readonly NodeStage[] = [
  'offered',
  'downloading',
  'evaluating',
  'training',
  'ready',
  'uploading',
  'accepted',
  'declined',
  'left',
];
const settled: ReadonlySet<NodeStage> = new Set(['accepted', 'declined', 'left']);

export interface NodeProgress {
  readonly stage: NodeStage;
  /** 0 to 1, where the node says how far it is in this stage. */
  readonly fraction: number | undefined;
  readonly done: number;
  readonly total: number;
  readonly tokensPerSecond: number;
}

const plain = (stage: NodeStage): NodeProgress => ({
  stage,
  fraction: stage === 'accepted' ? 1 : undefined,
  done: 0,
  total: 0,
  tokensPerSecond: 0,
});

/**
 * What the table of events says of a node in a round, and what the node said last. The events are sure but coarse, the
 * node's word is fine but may be old: it counts only for its own round and only while it is ahead of the events.
 */
export const nodeProgress = (stored: RoundNodeView, round: number, heard: LiveProgress | undefined): NodeProgress => {
  if (heard === undefined || heard.round !== round || settled.has(stored.stage)) return plain(stored.stage);
  if (stageOrder.indexOf(heard.stage) < stageOrder.indexOf(stored.stage)) return plain(stored.stage);
  const { stage, done, total, tokensPerSecond } = heard;
  const fraction = total > 0 ? Math.min(1, Math.max(0, done / total)) : plain(stage).fraction;
  return { stage, fraction, done, total, tokensPerSecond };
};
