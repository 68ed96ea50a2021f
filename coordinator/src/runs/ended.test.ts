import { expect, test } from 'vitest';
import { loopbackSpec, type LoopbackNode } from './loopback-node.ts';
import { loopbackOf, reachCollecting } from './loopback-fixture.ts';
import { refusalOf } from './loopback.ts';

/** What a node hears when it asks about this round. */
async function answersTo(node: LoopbackNode, runId: string, round: number): Promise<LoopbackNode['heard']> {
  const before = node.heard.length;
  await node.say({ case: 'openRuns', value: { offered: [{ runId, round }] } });
  return node.heard.slice(before);
}
const last = (node: LoopbackNode, kind: 'roundResult' | 'runEnded') =>
  node.heard.findLast((told) => told.case === kind);

test('a node that was away is told of the end of a run as whoever was there was, and a stranger is not', async () => {
  const loopback = await loopbackOf({ nodes: 4 });
  const [away, there, , stranger] = loopback.nodes as [LoopbackNode, LoopbackNode, LoopbackNode, LoopbackNode];
  const { id } = await loopback.runs.create(loopbackSpec());
  for (const node of loopback.nodes.slice(0, 3)) loopback.connect(node);
  loopback.runs.start(id);
  await loopback.settle();
  loopback.disconnect(away);
  loopback.connect(away);
  expect(await answersTo(away, id, 0)).toEqual([last(there, 'runEnded')]);
  loopback.connect(stranger);
  expect(await answersTo(stranger, id, 0)).toEqual([]);
  expect(await answersTo(away, `r_${'0'.repeat(32)}`, 0)).toEqual([]);
  const offered = Array.from({ length: 65 }, () => ({ runId: id, round: 0 }));
  expect(await refusalOf(away.say({ case: 'openRuns', value: { offered } }))).toBe('WEFT_MESSAGE_MALFORMED');
});

test('while a run goes on it is told how its round ended, and nothing of one that goes on', async () => {
  const { loopback, runId, nodes } = await reachCollecting({ rounds: 3 });
  const [away, there] = nodes as [LoopbackNode, LoopbackNode];
  expect(await answersTo(away, runId, 0)).toEqual([]);
  for (const node of nodes) await node.upload(node.prepare(node.offer));
  await loopback.settle();
  const committed = last(there, 'roundResult');
  expect(committed).toMatchObject({ value: { round: 0, committed: true, contributors: 3 } });
  expect(await answersTo(away, runId, 0)).toEqual([committed]);
  expect(await answersTo(away, runId, 1)).toEqual([]);
  // Nobody can go on: two are revoked in the middle of the second round.
  for (const { id } of nodes.slice(1)) loopback.store.append({ kind: 'node.revoked', nodeId: id, data: {} });
  const aborted = last(away, 'roundResult');
  expect(aborted).toMatchObject({ value: { round: 1, committed: false, reason: 'WEFT_ROUND_TOO_FEW_READY' } });
  expect(await answersTo(away, runId, 1)).toEqual([aborted]);
});
