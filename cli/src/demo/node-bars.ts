import type { NodeEvent } from '@weft/node-agent';
import type { Bar, Progress } from '../progress.ts';

/** A bar for each node, over all its steps, and one for the rounds. */
export function createNodeBars(
  progress: Progress,
  { nodes, rounds, stepsPerRound }: { nodes: readonly string[]; rounds: number; stepsPerRound: number },
): (node: string, event: NodeEvent) => void {
  const roundBar = progress.bar('rounds', rounds);
  const bars = new Map<string, Bar>(nodes.map((name) => [name, progress.bar(name, rounds * stepsPerRound)]));
  const committed = new Set<number>();
  return (node, event) => {
    const bar = bars.get(node);
    switch (event.event) {
      case 'training':
        bar?.update(
          event.round * stepsPerRound + event.done,
          `loss ${event.loss.toFixed(2)}, ${event.tokensPerSecond.toFixed(0)} tokens/s`,
        );
        break;
      case 'trained':
        bar?.update(
          (event.round + 1) * stepsPerRound,
          `trained, the update has norm ${event.normL2.toFixed(2)}${event.clipped ? ', clipped' : ''}`,
        );
        break;
      case 'declined':
      case 'refused':
        progress.log(`${node}: ${event.code}; ${event.todo}`);
        break;
      case 'round-ended':
        if (event.committed && !committed.has(event.round)) {
          committed.add(event.round);
          roundBar.update(committed.size, `round ${event.round + 1} committed from ${event.contributors} nodes`);
        }
        break;
      case 'run-ended':
        bar?.finish('done');
        break;
      default:
        break;
    }
  };
}
