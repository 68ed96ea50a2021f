import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ledgerIn, readStatements } from '@weft/node-agent';
import type { RunSpecInput } from '@weft/shared';
import { afterEach, describe, expect, test } from 'vitest';
import { openFederation, sentences, type TestFederation } from './federation.ts';

let federation: TestFederation;
afterEach(() => federation.close());

const small = { smallestCohort: 3 };
const names = ['ana', 'ben', 'eva'] as const;
const noisy: Partial<RunSpecInput> = {
  aggregation: { mode: 'secure', clipNormL2: 1, weighting: 'uniform' },
  cohort: { minimum: 3, maximum: 3 },
  evaluation: { heldOutShare: 0 },
  privacy: { noiseMultiplier: 4 },
  rounds: 2,
};

async function begin() {
  federation = await openFederation();
  const [ana, ben, eva] = await Promise.all(names.map((name) => federation.join(name, sentences(name, 60))));
  const { id } = await federation.createRun(noisy);
  await federation.admin('POST', `/api/runs/${id}/start`);
  return { places: { ana: ana!, ben: ben!, eva: eva! }, stop: () => federation.admin('POST', `/api/runs/${id}/stop`) };
}

describe("a node's privacy ledger", () => {
  test('is charged for what left, and ends the part of a node whose budget is spent', async () => {
    const { places, stop } = await begin();
    const delta = 1e-5;
    // ε of one round at z = 4 is about 1, of two about 1.5.
    const ana = await federation.startNode('ana', places.ana, {
      policy: { ...small, privacyBudget: 1.2, privacyDelta: delta, privacyLedger: 'home' },
    });
    const ben = await federation.startNode('ben', places.ben, { policy: small });
    await federation.startNode('eva', places.eva, { policy: small });
    const { round } = await ana.event('round-ended', ({ committed }) => committed);
    expect(await ana.event('declined')).toMatchObject({
      round: round + 1,
      code: 'WEFT_PRIVACY_BUDGET_SPENT',
      rule: 'privacyBudget',
    });
    await stop();
    const [spent] = await readStatements(ledgerIn(ana.home), delta);
    expect(spent).toMatchObject({ dataSet: 'data', rounds: 1, runs: 1, federations: 1 });
    expect(spent!.epsilon).toBeLessThan(1.2);
    expect(await readStatements(ledgerIn(ben.home), delta)).toEqual([
      { ...spent, lastChargeAt: expect.any(String) as string },
    ]);
  });

  test('lets nothing leave that it cannot write down, and no node start on it', async () => {
    const { places, stop } = await begin();
    const damage = (home: string): void => {
      mkdirSync(ledgerIn(home).folder, { recursive: true });
      writeFileSync(join(ledgerIn(home).folder, 'ledger.txt'), 'ε = 0 }\n');
    };
    const ana = await federation.startNode('ana', places.ana, { policy: small });
    const damaged = ana.event('trained').then(() => damage(places.ana.home));
    for (const name of ['ben', 'eva'] as const) await federation.startNode(name, places[name], { policy: small });
    await damaged;
    expect(await ana.event('declined')).toMatchObject({ code: 'WEFT_PRIVACY_LEDGER_DAMAGED' });
    await stop();
    await ana.agent.stop();
    expect(existsSync(join(places.ana.home, 'sent.jsonl'))).toBe(true);
    expect(ana.events.some(({ event }) => event === 'sent')).toBe(false);
    await expect(federation.startNode('ana', places.ana)).rejects.toThrow('cannot be trusted');
  });
});
