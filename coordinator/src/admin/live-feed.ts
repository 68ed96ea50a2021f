import type { NodeMessage } from '@weft/proto';
import { nodeStages, type LiveProgress, type NodeId } from '@weft/shared';

/** Passing news of nodes' work, for those who watch right now. */
export interface LiveFeed {
  /** Takes what a node said; everything but progress is no news here. */
  take(nodeId: NodeId, said: NodeMessage['kind']): void;
  subscribe(listener: (progress: LiveProgress) => void): () => void;
}

export function createLiveFeed(): LiveFeed {
  const listeners = new Set<(progress: LiveProgress) => void>();
  return {
    take(nodeId, said) {
      if (said.case !== 'progress' || listeners.size === 0) return;
      const { runId, round, stage, done, total, tokensPerSecond } = said.value;
      // A node may say anything: only what fits the contract goes on.
      const known = nodeStages.find((name) => name === stage);
      if (known === undefined || !Number.isFinite(tokensPerSecond)) return;
      const progress = {
        runId,
        round,
        nodeId,
        stage: known,
        done: Number(done),
        total: Number(total),
        tokensPerSecond,
      };
      for (const listener of listeners) listener(progress);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
