import { expect, it } from 'vitest';
import { decodeBody, encodeBody } from '../../src/secagg/bodies.ts';
import type { NodeEffect } from '../../src/secagg/node-state.ts';
import { Rehearsal, type Wire } from './rehearsal.ts';

const other = Buffer.alloc(32, 9);

/** After each cut another body comes as one, signed by the coordinator too. */
const followedBy =
  (lie: (cut: Uint8Array, by: Rehearsal) => Uint8Array): Wire =>
  ({ event, to }, by) =>
    to === 'node' && event.kind === 'cut'
      ? [event, { ...event, signed: by.sign(lie(event.signed.body, by)) }]
      : [event];
const changed =
  (change: object) =>
  (cut: Uint8Array): Uint8Array =>
    encodeBody('cut', { ...decodeBody('cut', cut), ...change });
const evidenceIn = ({ nodes }: Rehearsal) =>
  nodes.flatMap(({ effects }) =>
    effects.filter((effect): effect is NodeEffect & { kind: 'evidence' } => effect.kind === 'evidence'),
  );

it.each([
  { what: 'a cut of another session', lie: changed({ sessionId: other }) },
  { what: 'a cut of another round', lie: changed({ roundId: other }) },
  { what: 'its offer', lie: (_: Uint8Array, by: Rehearsal) => encodeBody('offer', by.serverOptions.offer) },
  { what: 'bytes that are no body', lie: () => other },
])('a coordinator that signed $what beside its cut did not sign two cuts of one session', ({ lie }) => {
  const rehearsal = new Rehearsal({ members: 5 }, followedBy(lie)).run();
  expect(evidenceIn(rehearsal)).toEqual([]);
  expect(rehearsal.outcome()).toMatchObject({ kind: 'finished', summed: [0, 1, 2, 3, 4] });
});

it('two cuts of one session are kept, both, and each shows that it is one', () => {
  const rehearsal = new Rehearsal({ members: 5 }, followedBy(changed({ inputRoot: other }))).run();
  const kept = evidenceIn(rehearsal);
  expect(kept).toHaveLength(5);
  for (const { statements } of kept) {
    const [one, two] = statements.map(({ body }) => decodeBody('cut', body));
    expect([one!.roundId, one!.sessionId]).toEqual([two!.roundId, two!.sessionId]);
    expect(one).not.toEqual(two);
  }
});
