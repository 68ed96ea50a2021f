import { readSent } from '@weft/node-agent';
import type { RunDetailView } from '@weft/shared';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { setUpChaos, type ChaosFederation } from './chaos-federation.ts';

const names = ['amina', 'bruno', 'chiara'];
let federation: ChaosFederation;
let unbroken: RunDetailView;
beforeAll(async () => {
  federation = await setUpChaos({ names, specs: [{}] });
  ({ run: unbroken } = await federation.play());
}, 120_000);
afterAll(() => federation.close());

const adaptersOf = ({ roundsDone }: RunDetailView) =>
  roundsDone.map(({ round, factor, adapterAfter }) => [round, factor, adapterAfter]);

test('without a blow the run ends after two rounds', () => {
  expect(unbroken).toMatchObject({ state: 'finished', round: 1 });
});

// Two rounds of three nodes: each point somewhere in the middle.
test.concurrent.each([
  { point: 'mid-upload', passing: 2 },
  { point: 'before-event-row', passing: 2 },
  { point: 'after-event-row', passing: 5 },
  { point: 'before-receipt', passing: 3 },
  { point: 'after-receipt', passing: 4 },
  { point: 'before-addition', passing: 5 },
  { point: 'after-addition', passing: 2 },
  { point: 'before-commit', passing: 2 },
  { point: 'after-commit', passing: 1 },
])(
  'the coordinator killed at $point goes on with the same round, to the same adapter',
  { timeout: 240_000 },
  async (kill) => {
    const { run, place } = await federation.play({ coordinator: kill });
    expect(run).toMatchObject({ id: unbroken.id, state: 'finished', adapterSha256: unbroken.adapterSha256 });
    expect(adaptersOf(run)).toEqual(adaptersOf(unbroken));
    for (const { contributors, nodes } of run.roundsDone) {
      expect(contributors).toBe(3);
      expect(nodes.map(({ stage }) => stage)).toEqual(['accepted', 'accepted', 'accepted']);
    }
    for (const name of names) {
      const updates = (await readSent(place.home(name))).filter((sent) => sent.kind === 'update');
      // Whatever was sent again after a break was the same update.
      expect(new Set(updates.map(({ payloadSha256 }) => payloadSha256)).size).toBe(2);
    }
  },
);
