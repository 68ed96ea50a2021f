import { describe, expect, it } from 'vitest';
import { stepNode } from '../../src/secagg/node.ts';
import { newNode, type NodeState } from '../../src/secagg/node-state.ts';
import { stepServer } from '../../src/secagg/server.ts';
import { newServer, type ServerEvent } from '../../src/secagg/server-state.ts';
import { Rehearsal, type RehearsedNode, type Wire } from './rehearsal.ts';

const noRandom = (): never => {
  throw new Error('a replay draws nothing');
};

/** What the journal alone gives back, and what it last made the node say. */
function replayed({ options, journal }: RehearsedNode): { state: NodeState; said: readonly Uint8Array[] } {
  let state = newNode();
  let said: readonly Uint8Array[] = [];
  for (const event of journal) {
    const step = stepNode(options, state, event, 0, noRandom);
    state = step.state;
    said = step.effects.flatMap((effect) => (effect.kind === 'send' ? [effect.signed.body] : []));
  }
  return { state, said };
}

const victim = 1;

/** The node's process dies before its k-th message and comes back with what is on disk. */
const dyingBefore =
  (message: number, seen: { said: number }): Wire =>
  ({ node, event, to }, rehearsal) => {
    if (to !== 'node' || node !== victim || seen.said++ !== message) return [event];
    const mortal = rehearsal.nodes[victim]!;
    const { state, said } = replayed(mortal);
    const before = mortal.sent.at(-1)?.signed.body;
    if (before) expect(said.at(-1)).toEqual(before);
    mortal.state = state;
    return [event];
  };

describe('a process that is killed', () => {
  it('as a node, at each message, says the same bytes again and is in the exact sum', () => {
    let messages = 0;
    for (let message = 0; message <= messages; message++) {
      const seen = { said: 0 };
      const rehearsal = new Rehearsal({ members: 5 }, dyingBefore(message, seen)).run();
      messages = seen.said - 1;
      expect(rehearsal.outcome()).toMatchObject({ kind: 'finished', summed: [0, 1, 2, 3, 4] });
      expect(rehearsal.sum).toEqual(rehearsal.exactSum([0, 1, 2, 3, 4]));
    }
    expect(messages).toBeGreaterThanOrEqual(4);
  });

  it('as a node without its journal, never takes part in that session again', () => {
    const forgetting: Wire = ({ node, event, to }, rehearsal) => {
      if (to !== 'node' || node !== victim || event.kind !== 'shareDelivery') return [event];
      const mortal = rehearsal.nodes[victim]!;
      const knowledge = { ...mortal.options.knowledge, lastRound: rehearsal.serverOptions.offer.round };
      rehearsal.nodes[victim] = { ...mortal, options: { ...mortal.options, knowledge }, state: newNode() };
      const offer = mortal.journal[0]!;
      return [offer, event];
    };
    const rehearsal = new Rehearsal({ members: 5 }, forgetting).run();
    expect(rehearsal.nodes[victim]!.effects).toContainEqual({ kind: 'aborted', reason: 'roundIsNew' });
    expect(rehearsal.nodes[victim]!.sent.map(({ name }) => name)).not.toContain('maskedInput');
    expect(rehearsal.sum).toEqual(rehearsal.exactSum([0, 2, 3, 4].map((node) => rehearsal.order.indexOf(node))));
  });

  it('as the coordinator, after each event, has the state that its journal gives', () => {
    const rehearsal = new Rehearsal({ members: 5 }).run();
    const journal = rehearsal.effects.flatMap((effect): ServerEvent[] =>
      effect.kind === 'journal' ? [effect.event] : [],
    );
    let state = newServer();
    for (const event of journal) state = stepServer(rehearsal.serverOptions, state, event, rehearsal.now).state;
    expect(state).toEqual({ ...rehearsal.server, since: state.since });
  });

  it('with its clock a day ahead or behind, as a node, at worst leaves the session', () => {
    for (const skewMs of [-86_400_000, 86_400_000]) {
      const skewed: Wire = ({ node, event, to }, rehearsal) => {
        if (to === 'node' && node === victim && event.kind === 'cut') rehearsal.now += skewMs;
        return [event];
      };
      const rehearsal = new Rehearsal({ members: 5 }, skewed).run();
      const outcome = rehearsal.outcome();
      if (outcome?.kind === 'finished') expect(rehearsal.sum).toEqual(rehearsal.exactSum(outcome.summed));
      expect(outcome).toBeDefined();
    }
  });
});
