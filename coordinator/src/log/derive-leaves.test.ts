import { log, secagg, type NodeId } from '@weft/shared';
import { expect, test } from 'vitest';
import { evolve, initialState } from '../round/evolve.ts';
import { SecureRun } from '../round/secure-simulation.ts';
import { simulatedValues } from '../round/simulation.ts';
import { defaultTiming, hasEnded } from '../round/state.ts';
import type { StoredEvent } from '../store/events.ts';
import { deriveLeaves } from './derive-leaves.ts';

test('the leaves of a session follow from its rows as the session itself does', () => {
  const run = new SecureRun();
  run.connect();
  run.apply({ kind: 'start' });
  run.runUntil(() => (run.state.secure?.server.adverts.size ?? 0) === 3);
  const [id] = run.state.secure!.server.adverts.keys();
  run.apply({ kind: 'revoked', nodeId: run.ids.find((nodeId) => nodeId === `n_${id}`)! });
  run.runUntil(() => run.state.phase === 'shares');
  run.runUntil(() => hasEnded(run.state));

  const leavesOf = deriveLeaves();
  leavesOf(run.created as StoredEvent);
  let state = initialState(run.created.runId!, run.created.data, defaultTiming, simulatedValues);
  const names: string[] = [];
  for (const row of run.events) {
    const before = state.secure?.server;
    state = evolve(state, row);
    const after = state.secure?.server;
    const fixed = leavesOf(row as StoredEvent).map((leaf) => log.decodeLeaf(leaf));
    for (const leaf of fixed) {
      names.push(leaf.name);
      if (leaf.name === 'roster') {
        expect(before?.roster).toBeUndefined();
        expect(Buffer.from(leaf.advertRoot)).toEqual(Buffer.from(after!.roster!.root));
        const keys = after!.roster!.adverts.map(({ body }) => {
          const { nodeId } = secagg.decodeBody('keyAdvert', body);
          return run.identities[run.ids.indexOf(`n_${Buffer.from(nodeId).toString('hex')}` as NodeId)]!.publicKey;
        });
        const pseudonyms = keys.map((key) => log.pseudonymOf(leaf.runId, key));
        expect(leaf.members).toBe(keys.length);
        expect(Buffer.from(leaf.memberRoot)).toEqual(Buffer.from(log.sortedRoot(pseudonyms)));
      }
      if (leaf.name === 'cut') {
        expect(before?.cut).toBeUndefined();
        const { inputRoot } = secagg.decodeBody('cut', after!.cut!.bytes);
        expect(Buffer.from(leaf.cutHash)).toEqual(Buffer.from(after!.cut!.hash));
        expect(Buffer.from(leaf.inputRoot)).toEqual(Buffer.from(inputRoot));
        expect(leaf.surviving).toBe(after!.cut!.surviving.filter(Boolean).length);
      }
      if (leaf.name === 'open') {
        expect([before?.phase, after?.phase]).toEqual(['opening', 'unmasking']);
        expect(leaf.acknowledgements).toBe(after!.acks.size);
      }
    }
  }
  const round = ['offer', 'roster', 'cut', 'open', 'result'];
  expect(names).toEqual([...round, ...round]);
});
