                                                                     
                                                           
import { evolve } from './evolve.js';
                                          
import { nodesIn,                                      } from './state.js';

                                                        

                                                                                                                      

/** One step in the making: the state so far, the rows and effects so far. It lives and ends within `step`. */
export class Turn {
  state          ;
           now        ;
           random             ;
           events             = [];
           effects           = [];

  constructor(state          , now        , random             ) {
    this.state = state;
    this.now = now;
    this.random = random;
  }

  /** Adds a row about this run and, unless the row names another, this round. */
  record(event                          )       {
    const { runId, round } = this.state;
    const about = event.kind.startsWith('run.') ? { runId } : { runId, round };
    const row = { ...about, at: this.now, ...event }                             ;
    this.events.push(row);
    this.state = evolve(this.state, row);
  }

  /** Changes what no row holds: sessions and work in progress. */
  change(part                                                                                                )       {
    this.state = { ...this.state, ...part };
  }

  effect(effect        )       {
    this.effects.push(effect);
  }

  enter(phase            , more                                          = {})       {
    const { round, ...data } = more;
    this.record({ kind: 'round.phase', ...(round !== undefined && { round }), data: { phase, ...data } });
  }

  connectedNodes()           {
    return [...this.state.connected.keys()];
  }

  offer(nodeId        , work                      )       {
    if (this.state.participants.get(nodeId)?.stage !== 'offered') {
      this.record({ kind: 'node.offered', nodeId, data: { work, adapterSha256: this.state.adapter.sha256 } });
    }
    this.change({ heardAt: new Map(this.state.heardAt).set(nodeId, this.now) });
    this.effect({ kind: 'offer', nodeId, work, round: this.state.round });
  }

  /** Nodes in these stages whose lease ended without a sign of life have left. */
  dropSilent(...stages                    )       {
    for (const nodeId of nodesIn(this.state, ...stages)) {
      const silentMs = this.now - (this.state.heardAt.get(nodeId) ?? this.now);
      if (silentMs >= this.state.timing.leaseMs) this.record({ kind: 'node.left', nodeId, data: { cause: 'lease', silentMs } });
    }
  }

  /** When the first lease of nodes in these stages ends. */
  static leaseEnd(state          , ...stages                    )                     {
    const ends = nodesIn(state, ...stages).flatMap((nodeId) => {
      const heardAt = state.heardAt.get(nodeId);
      return heardAt === undefined ? [] : [heardAt + state.timing.leaseMs];
    });
    return ends.length === 0 ? undefined : Math.min(...ends);
  }

  /** Ends this try without a result. The next one starts by itself, or the run is given up. */
  abortRound(reason        )       {
    const { timing, failedTries, round } = this.state;
    const delay = Math.min(timing.retryMs * 2 ** failedTries, timing.longestRetryMs);
    const payloads = this.acceptedPayloads();
    this.record({
      kind: 'round.aborted',
      data: { reason, retryAt: this.now + delay, bytesDown: Object.fromEntries(this.state.bytesDown) },
    });
    this.effect({ kind: 'discardUpdates', round, payloads });
    this.effect({
      kind: 'announceResult',
      to: this.connectedNodes(),
      round,
      committed: false,
      adapter: this.state.adapter,
      reason: reason.code,
      contributors: 0,
    });
    this.enter('waiting');
    if (this.state.failedTries < timing.failedTries) return;
    const giveUp = { code: reason.code, message: `${this.state.failedTries} rounds in a row failed, the last one because ${reason.message}` };
    this.record({ kind: 'run.aborted', data: { reason: giveUp } });
    this.endRun('aborted', giveUp.message);
  }

  endRun(outcome                                    , reason        )       {
    this.effect({ kind: 'announceEnd', to: this.connectedNodes(), outcome, adapter: this.state.adapter, reason });
  }

  acceptedPayloads() {
    return [...this.state.participants.values()].flatMap(({ update }) => (update === undefined ? [] : [update.payload.sha256]));
  }
}
