import type { EventView, RunDetailView } from '@weft/shared';

/** What a row of a run's history tells somebody who watches; undefined for rows that only matter to recovery. */
export function describeEvent(
  { kind, round, nodeId, data }: EventView,
  names: ReadonlyMap<string, string>,
): string | undefined {
  const who = names.get(nodeId ?? '') ?? nodeId ?? '';
  const inRound = `round ${(round ?? 0) + 1}`;
  switch (kind) {
    case 'run.started':
    case 'run.resumed':
    case 'run.stopped':
    case 'run.finished':
      return kind.replace('.', ' ');
    case 'run.paused':
    case 'run.aborted':
    case 'round.aborted':
      return `${round === null ? kind.replace('.', ' ') : `${inRound} aborted`}${reasonOf(data)}`;
    case 'run.rolledBack':
      return `run rolled back to ${(data['adapter'] as { sha256: string }).sha256}`;
    case 'round.started':
      return `${inRound}: training ${data['factor'] === 'both' ? 'both factors' : `factor ${String(data['factor'])}`}`;
    case 'round.phase':
      return `${inRound}: ${String(data['phase'])}`;
    case 'node.ready':
      return `${inRound}: ${who} has trained`;
    case 'node.declined':
      return `${inRound}: ${who} declined: ${String(data['message'])}`;
    case 'node.left':
      return `${inRound}: ${who} left`;
    case 'update.accepted':
      return `${inRound}: ${who} sent ${((data['payloadBytes'] as number) / 1024).toFixed(0)} KiB`;
    default:
      return undefined;
  }
}

/** What a committed round brought, from the fold of its rows. */
export function describeRound({ roundsDone }: RunDetailView, round: number): string {
  const view = roundsDone.find((one) => one.round === round);
  const before = view?.heldOutLoss ?? null;
  const loss = before === null ? '' : `, held-out loss before it ${before.toFixed(4)}`;
  const gate = view?.gate ?? null;
  const passed = gate === null ? '' : `, gate ${gate.lossBefore?.toFixed(4)} → ${gate.lossAfter?.toFixed(4)}`;
  return `round ${round + 1} committed: ${view?.contributors ?? 0} nodes${loss}${passed}`;
}

const reasonOf = (data: EventView['data']): string => {
  const reason = data['reason'];
  return typeof reason === 'object' && reason !== null && 'message' in reason ? `: ${String(reason.message)}` : '';
};
