import type { NodeEvent } from '@weft/node-agent';
import type { Bar, Progress } from './progress.ts';

/** Rounds count from 0 on the wire and from 1 for people. */
const roundName = (round: number): string => `round ${round + 1}`;

const seconds = (value: number): string => (value < 10 ? `${value.toFixed(1)} s` : `${Math.round(value)} s`);

const bytes = (count: number): string => {
  if (count < 1024) return `${count} bytes`;
  return count < 1024 ** 2 ? `${(count / 1024).toFixed(1)} KiB` : `${(count / 1024 ** 2).toFixed(1)} MiB`;
};

/** Shows an agent's events to the operator: what happens once as a line, what takes time as a bar. */
export const createNodeView = (progress: Progress): ((event: NodeEvent) => void) => {
  const bars = new Map<string, Bar>();
  const show = (name: string, done: number, total: number, note?: string): void => {
    const bar = bars.get(name) ?? progress.bar(name, total);
    bars.set(name, bar);
    bar.update(done, note);
  };
  /** Leaves the round's bars standing above what comes. */
  const endRound = (): void => {
    bars.clear();
    progress.close();
  };
  return (event) => {
    switch (event.event) {
      case 'started':
        progress.log(
          `node ${event.nodeName} (${event.nodeId}) of federation ${event.federationName}; ${event.records} records`,
        );
        return progress.log(event.notice);
      case 'connecting':
        return event.attempt === 1 ? progress.log(`connecting to ${event.address}`) : undefined;
      case 'connected':
        return progress.log('connected; waiting for a round');
      case 'disconnected':
        return progress.log(
          `${saidOfDisconnect(event.code)} [${event.code}]; trying again in ${seconds(event.retryInMs / 1000)}`,
        );
      case 'offered':
        return progress.log(
          event.kind === 'train'
            ? `${roundName(event.round)} of "${event.runName}": ${event.steps} steps on ${event.factor === 'both' ? 'both factors' : `factor ${event.factor}`}`
            : `"${event.runName}" asks how well its last adapter does`,
        );
      case 'downloading':
      case 'uploading':
        return show(`${roundName(event.round)} ${event.event}`, event.done, event.total);
      case 'evaluating':
        return undefined;
      case 'evaluated':
        return progress.log(
          `${roundName(event.round)}: held-out loss ${event.loss.toFixed(4)} nats a token over ${event.tokens} tokens`,
        );
      case 'training':
        return show(
          `${roundName(event.round)} training`,
          event.done,
          event.total,
          `loss ${event.loss.toFixed(4)}  ${event.tokensPerSecond.toFixed(0)} tokens/s`,
        );
      case 'trained':
        return progress.log(
          `${roundName(event.round)}: trained in ${seconds(event.seconds)} on ${event.examples} examples; the update waits here`,
        );
      case 'sent':
        return progress.log(event.said);
      case 'log-shown':
        return progress.log(
          `${roundName(event.round)} stands in the log of ${event.logSize} entries${event.end === 'abort' ? ' as given up' : event.leftOut ? ', without this node’s shard' : ', with this node’s update in it'}`,
        );
      case 'log-distrusted':
        return progress.log(
          `THE COORDINATOR IS NOT TO BE TRUSTED [${event.check}]: evidence/${event.evidence} is kept, and this node takes no part in ${event.scope === 'federation' ? 'any run' : event.scope} until \`weft node evidence --dismiss ${event.scope}\``,
        );
      case 'left-out':
        return progress.log(`${roundName(event.round)} went on without this node`);
      case 'declined':
        return progress.log(
          `${roundName(event.round)} declined [${event.code}${event.rule === undefined ? '' : `, policy: ${event.rule}`}]: ${event.why === undefined ? '' : `${event.why}; `}${event.todo}`,
        );
      case 'round-ended':
        endRound();
        return progress.log(
          event.committed
            ? `${roundName(event.round)} is done: ${event.contributors} ${event.contributors === 1 ? 'node' : 'nodes'} made a new adapter`
            : `${roundName(event.round)} came to nothing${event.code === '' ? '' : ` [${event.code}]`}`,
        );
      case 'run-ended':
        endRound();
        return progress.log(`the run is ${event.outcome}`);
      case 'refused':
        return progress.log(
          `refused [${event.code}]: ${event.todo}${event.where === undefined ? '' : `\n  ${event.where.join('\n  ')}`}`,
        );
      case 'certificate-renewed':
        return progress.log('the coordinator announced a new certificate, signed with its pinned key');
      case 'summary':
        return progress.log(
          `${event.updates} updates sent; ${bytes(event.bytesUp)} up, ${bytes(event.bytesDown)} down; ${seconds(event.seconds.training)} of training`,
        );
    }
  };
};

const saidOfDisconnect = (code: string): string => {
  switch (code) {
    case 'WEFT_NODE_PENDING':
      return 'the admin has yet to approve this node';
    case 'WEFT_COORDINATOR_CERTIFICATE':
      return 'somebody answers who is not the coordinator of the invite';
    default:
      return 'not connected';
  }
};
