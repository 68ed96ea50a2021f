import { readSent } from '@weft/node-agent';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openFederation, sentences, type TestFederation } from './federation.ts';

let federation: TestFederation;
beforeEach(async () => {
  federation = await openFederation();
});
afterEach(() => federation.close());

const twoNodes = async () => {
  const places = await Promise.all(['amina', 'bruno'].map((name) => federation.join(name, sentences(name, 200))));
  return Promise.all(
    places.map((place, i) => federation.startNode(['amina', 'bruno'][i]!, place, { untilRunEnds: true })),
  );
};

test('two nodes take a run from its first offer to its end, fetch the model, and lower the loss', async () => {
  const nodes = await twoNodes();
  const { id } = await federation.createRun();
  await federation.admin('POST', `/api/runs/${id}/start`);
  const summaries = await Promise.all(nodes.map(({ agent }) => agent.finished));
  const run = await federation.runUntil(id, ({ state }) => state === 'finished');
  expect(
    run.roundsDone
      .filter(({ adapterAfter }) => adapterAfter !== null)
      .map(({ contributors, factor }) => [contributors, factor]),
  ).toEqual([
    [2, 'B'],
    [2, 'A'],
  ]);
  for (const [i, { events, home }] of nodes.entries()) {
    const losses = events.filter((event) => event.event === 'evaluated').map(({ loss }) => loss);
    expect(losses).toHaveLength(3);
    expect(losses[2]).toBeLessThan(losses[0]!);
    expect(summaries[i]).toMatchObject({ updates: 2 });
    expect(summaries[i]!.bytesDown).toBeGreaterThan(100_000);
    const sent = await readSent(home);
    // What the log showed of a round comes whenever it comes.
    expect(sent.filter(({ kind }) => kind === 'log')).toHaveLength(2);
    expect(sent.map(({ kind }) => kind).filter((kind) => kind !== 'log')).toEqual([
      'enrolment',
      'evaluation',
      'update',
      'evaluation',
      'update',
      'evaluation',
      'run',
    ]);
    expect(sent.find(({ kind }) => kind === 'update')!.said).toContain('tells the coordinator the number of examples');
  }
});
