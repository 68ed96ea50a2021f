import { join } from 'node:path';
import { readStatus, type NodeEvent } from '@weft/node-agent';
import { costOfUpdate, createIdentity, privacy, updateEncoding, type Identity, type RunDetailView } from '@weft/shared';
import { runWeft } from '../run-weft.ts';
import { afterEach, describe, expect, test } from 'vitest';
import { openFederation, sentences, type TestFederation, type TestNode } from './federation.ts';
import { meanOf, pendingPayload, publishedB } from './published.ts';

let federation: TestFederation;
afterEach(() => federation.close());

const small = { smallestCohort: 3 };

async function begin(
  names: readonly string[],
  organisationOf: (name: string) => Identity | undefined = () => undefined,
): Promise<Map<string, Place>> {
  federation = await openFederation();
  const places = new Map<string, Place>();
  for (const name of names) {
    const organisation = organisationOf(name);
    places.set(name, await federation.join(name, sentences(name, 60), { ...(organisation && { organisation }) }));
  }
  await federation.createRun({
    aggregation: { clipNormL2: 10 },
    cohort: { minimum: 3, maximum: names.length },
    rounds: 1,
  });
  return places;
}
type Place = Awaited<ReturnType<TestFederation['join']>>;

const startRun = async (): Promise<string> => {
  const [run] = await federation.admin<{ id: string }[]>('GET', '/api/runs');
  await federation.admin('POST', `/api/runs/${run!.id}/start`);
  return run!.id;
};
const reasonsIn = (rounds: RunDetailView['roundsDone']): string[] =>
  rounds.flatMap(({ nodes }) => nodes.flatMap(({ stage, reason }) => (stage === 'declined' ? (reason ?? []) : [])));
const hasEnded = ({ state }: RunDetailView): boolean => state !== 'created' && state !== 'running';

describe('secure aggregation in a federation', () => {
  test('gives exactly the mean of the updates, which the coordinator never held', async () => {
    const places = await begin(['ana', 'ben', 'eva']);
    const plain: Uint8Array[] = [];
    const runId = await startRun();
    for (const [name, place] of places) {
      await federation.startNode(name, place, {
        policy: small,
        onEvent(event: NodeEvent) {
          if (event.event === 'trained') plain.push(pendingPayload(place.home));
        },
      });
    }
    const run = await federation.runUntil(runId, hasEnded);
    expect(run.state).toBe('finished');
    expect(plain).toHaveLength(3);
    expect(run.roundsDone[0]).toMatchObject({ contributors: 3, clippedShare: null });
    const trained = await publishedB(federation, runId);
    expect(trained).toEqual(Float32Array.from(meanOf(run, plain, trained.length)));
  });

  test.each([8, 4])(
    'of %i bits packs ⌈words·b/8⌉ bytes and ends in the sum of the survivors, to the bit',
    async (quantizationBits) => {
      federation = await openFederation();
      const names = ['ana', 'ben', 'eva', 'ida', 'tom'];
      const plain = new Map<string, Uint8Array>();
      const saturated: number[] = [];
      await federation.createRun({
        aggregation: { clipNormL2: 1, weighting: 'uniform', quantizationBits },
        cohort: { minimum: 3, maximum: names.length },
        rounds: 1,
      });
      const places = new Map<string, Place>();
      for (const name of names) places.set(name, await federation.join(name, sentences(name, 60)));
      const gone = places.get('ana')!.nodeId;
      const trained = Promise.withResolvers<void>();
      for (const [name, place] of places) {
        await federation.startNode(name, place, {
          policy: small,
          onEvent(event: NodeEvent) {
            if (event.event !== 'trained') return;
            plain.set(place.nodeId, pendingPayload(place.home));
            saturated.push(event.saturatedValues);
            if (place.nodeId === gone) trained.resolve();
          },
        });
      }
      const runId = await startRun();
      await trained.promise;
      await federation.admin('POST', `/api/nodes/${gone}/revoke`);
      const run = await federation.runUntil(runId, hasEnded);
      expect(run).toMatchObject({ state: 'finished', roundsCommitted: 1 });
      const round = run.roundsDone.at(-1)!;
      const survivors = round.nodes.filter(({ nodeId, bytesUp }) => bytesUp > 0 && nodeId !== gone);
      expect(survivors).toHaveLength(4);
      const published = await publishedB(federation, runId);
      expect(published).toEqual(
        Float32Array.from(
          meanOf(
            run,
            survivors.map(({ nodeId }) => plain.get(nodeId)!),
            published.length,
          ),
        ),
      );
      const { words, bits } = updateEncoding(run.spec, published.length).offered;
      // Five times 2^(q−1) − 1, and a sign.
      expect(bits).toBe(Math.max(8, quantizationBits + 3));
      for (const { bytesUp } of survivors) expect(bytesUp).toBe(Math.ceil((words * bits) / 8));
      expect(Math.max(...saturated)).toBeLessThan(published.length / 100);
    },
  );

  test('ends in the sum of those who stayed, when one is revoked in the middle of it', async () => {
    const places = await begin(['ana', 'ben', 'eva', 'ida', 'tom']);
    const runId = await startRun();
    const nodes: TestNode[] = [];
    for (const [name, place] of places) nodes.push(await federation.startNode(name, place, { policy: small }));
    const [gone] = nodes;
    await gone!.event('trained');
    await federation.admin('POST', `/api/nodes/${places.get('ana')!.nodeId}/revoke`);
    const run = await federation.runUntil(runId, hasEnded);
    expect(run).toMatchObject({ state: 'finished', roundsCommitted: 1 });
    expect(run.roundsDone.at(-1)!.contributors).toBe(4);
    const stayed = nodes.find(({ name }) => name === 'ben')!;
    await stayed.event('round-ended');
    // with one revoked the round is begun among four, or ends with four of five
    const [told] = (await readStatus(stayed.home)).rounds.slice(-1);
    expect(told).toMatchObject({ mode: 'secure', survivors: 4, colluders: 1 });
    const { stdout } = await runWeft(['node', 'status', '--home', stayed.home]);
    expect(stdout).toMatch(/4 of [45] members +1 +– +\d+ /);
    expect(stdout).toContain('No organisation vouches for members');
  });

  test('goes on in the same round when the coordinator and a node come back in the middle of it', async () => {
    const places = await begin(['ana', 'ben', 'eva']);
    const runId = await startRun();
    const nodes: TestNode[] = [];
    for (const [name, place] of places) nodes.push(await federation.startNode(name, place, { policy: small }));
    // Of three nobody may drop: the round can only end with what the restarted ones still know.
    await nodes[0]!.event('sent');
    await Promise.all([federation.restart(), nodes[0]!.agent.stop()]);
    await federation.startNode('ana', places.get('ana')!, { policy: small });
    const run = await federation.runUntil(runId, hasEnded);
    expect(run).toMatchObject({ state: 'finished', roundsCommitted: 1 });
    expect(run.roundsDone[0]).toMatchObject({ round: 0, contributors: 3 });
  });

  test('goes on among members of trusted organisations, and stops among those that a coordinator could have made up', async () => {
    const library = createIdentity().identity;
    const trustedOrganisations = [Buffer.from(library.publicKey).toString('hex')];
    const names = ['ana', 'ben', 'eva', 'ida', 'tom'];
    const places = await begin(names, (name) => (name === 'tom' || name === 'ida' ? undefined : library));
    const runId = await startRun();
    const [ana] = await Promise.all(
      [...places].map(([name, place]) =>
        federation.startNode(name, place, { policy: { ...small, trustedOrganisations } }),
      ),
    );
    // Two of five are nobody's, and one more may collude: more than the session withstands.
    expect(await ana!.event('declined')).toMatchObject({ code: 'WEFT_SECAGG_REFUSED', rule: 'trustedOrganisations' });
    const refused = await federation.runUntil(runId, ({ roundsDone }) => reasonsIn(roundsDone).length > 0);
    expect(reasonsIn(refused.roundsDone)).toContainEqual(expect.stringContaining('(trustedOrganisations)'));
    await federation.admin('POST', `/api/runs/${runId}/stop`);
    await federation.close();

    const all = await begin(names, () => library);
    const again = await startRun();
    for (const [name, place] of all)
      await federation.startNode(name, place, { policy: { ...small, trustedOrganisations } });
    expect(await federation.runUntil(again, hasEnded)).toMatchObject({ state: 'finished', roundsCommitted: 1 });
  });

  test('sends nothing among members of one organisation, where the policy asks for two', async () => {
    const [library, archive] = [createIdentity().identity, createIdentity().identity];
    const policy = {
      ...small,
      trustedOrganisations: [library, archive].map(({ publicKey }) => Buffer.from(publicKey).toString('hex')),
      fewestOrganisations: 2,
    };
    const names = ['ana', 'ben', 'eva'];
    const ofTwo = await begin(names, (name) => (name === 'ana' ? archive : library));
    const runId = await startRun();
    for (const [name, place] of ofTwo) await federation.startNode(name, place, { policy });
    expect(await federation.runUntil(runId, hasEnded)).toMatchObject({ state: 'finished', roundsCommitted: 1 });
    await federation.close();

    const ofOne = await begin(names, () => library);
    const again = await startRun();
    const [ana] = await Promise.all([...ofOne].map(([name, place]) => federation.startNode(name, place, { policy })));
    expect(await ana!.event('declined')).toMatchObject({ rule: 'fewestOrganisations' });
    const refused = await federation.runUntil(again, ({ roundsDone }) => reasonsIn(roundsDone).length > 0);
    expect(reasonsIn(refused.roundsDone)).toContainEqual(expect.stringContaining('(fewestOrganisations)'));
    expect((await readStatus(ana!.home)).updatesSent).toBe(0);
    await federation.admin('POST', `/api/runs/${again}/stop`);
  });

  test('adds noise at the nodes: the mean is off by as much as the noise says, and ε is shown', async () => {
    federation = await openFederation();
    const payloads: Uint8Array[] = [];
    const norms: number[] = [];
    const names = ['ana', 'ben', 'eva'];
    const places = await Promise.all(names.map((name) => federation.join(name, sentences(name, 60))));
    await federation.createRun({
      aggregation: { mode: 'secure', clipNormL2: 1, weighting: 'uniform' },
      cohort: { minimum: 3, maximum: 3 },
      evaluation: { heldOutShare: 0 },
      privacy: { noiseMultiplier: 0.5, delta: 1e-6 },
      rounds: 1,
    });
    const runId = await startRun();
    for (const [i, name] of names.entries()) {
      await federation.startNode(name, places[i]!, {
        policy: small,
        onEvent(event: NodeEvent) {
          if (event.event !== 'trained') return;
          norms.push(Math.min(1, event.normL2));
          payloads.push(pendingPayload(places[i]!.home));
        },
      });
    }
    const run = await federation.runUntil(runId, hasEnded);
    expect(run.state).toBe('finished');
    const published = await publishedB(federation, runId);
    const noise = updateEncoding(run.spec, published.length).noise!;
    expect(published).toEqual(Float32Array.from(meanOf(run, payloads, published.length)));

    // Deviation √(n·σ²)/(s·n) in each value; what was learnt is no longer than the mean of the clipped norms.
    const noiseNorm = Math.sqrt((published.length * 3 * noise.nodeVariance) / (3 * noise.scale) ** 2);
    const learnt = norms.reduce((total, norm) => total + norm, 0) / 3;
    const norm = Math.hypot(...published);
    expect(noiseNorm).toBeGreaterThan(2 * learnt);
    expect(norm).toBeGreaterThan(0.85 * noiseNorm - learnt);
    expect(norm).toBeLessThan(1.15 * noiseNorm + learnt);

    const { epsilon } = privacy.epsilonSpent(privacy.costOfRound(noise), 1e-6);
    const spent = { epsilonSpent: epsilon, epsilonPlanned: epsilon, byRound: [{ round: 0, epsilonSpent: epsilon }] };
    expect(run.privacy).toMatchObject({ ...spent, delta: 1e-6 });
    expect(run.roundsDone[0]).toMatchObject({ heldOutLoss: null, heldOutTokens: 0, clippedShare: null });
  });

  test('moves the clip norm towards the median of what is trained, by noised bits that the ledger pays for', async () => {
    federation = await openFederation();
    const names = ['ana', 'ben', 'eva', 'ida', 'tom'];
    const norms: number[] = [];
    for (const name of names) {
      const place = await federation.join(name, sentences(name, 60));
      await federation.startNode(name, place, {
        policy: small,
        onEvent: (event) => void (event.event === 'trained' && norms.push(event.normL2)),
      });
    }
    const from = async (clipNormL2: number): Promise<RunDetailView> => {
      const { id } = await federation.createRun({
        aggregation: { clipNormL2, weighting: 'uniform' },
        cohort: { minimum: names.length, maximum: names.length },
        evaluation: { heldOutShare: 0 },
        privacy: { noiseMultiplier: 0.02, adaptiveClipping: true },
        rounds: 3,
      });
      await federation.admin('POST', `/api/runs/${id}/start`);
      return federation.runUntil(id, hasEnded);
    };
    for (const [clipNormL2, isAbove] of [
      [10, true],
      [0.05, false],
    ] as const) {
      norms.length = 0;
      const run = await from(clipNormL2);
      expect(run).toMatchObject({ state: 'finished', roundsCommitted: 3 });
      expect(norms.every((norm) => norm < clipNormL2 === isAbove)).toBe(true);
      const committed = run.roundsDone.filter(({ adapterAfter }) => adapterAfter !== null);
      let due: number = clipNormL2;
      let spent = privacy.nothingSpent();
      for (const round of committed) {
        expect(round.clipNormL2).toBe(due);
        // Five of five or none, and noise of a tenth: σ_b·√(n/n_h)/n.
        expect(Math.abs(round.withinShare! - (isAbove ? 1 : 0))).toBeLessThan(0.45);
        due = privacy.nextClipNorm(due, round.withinShare!);
        const values = round.factor === 'B' ? 384 : 512;
        spent = privacy.addSpending(spent, costOfUpdate(updateEncoding(run.spec, values, round.clipNormL2))!);
        const byNow = run.privacy!.byRound.find(({ round: number }) => number === round.round)!.epsilonSpent;
        expect(byNow).toBeCloseTo(privacy.epsilonSpent(spent, 1e-5).epsilon, 6);
      }
      expect(due < clipNormL2).toBe(isAbove);
      expect(run.privacy!.epsilonSpent).toBeCloseTo(privacy.epsilonSpent(spent, 1e-5).epsilon, 6);
    }
    const { stdout } = await runWeft(['node', 'history', '--json', '--home', join(federation.folder, 'ana')]);
    expect(stdout.match(/"kind": ?"update"/g)).toHaveLength(6);
  });

  test('takes no part among three without its operator having said so', async () => {
    const places = await begin(['ana', 'ben', 'eva']);
    const runId = await startRun();
    const nodes: TestNode[] = [];
    for (const [name, place] of places) nodes.push(await federation.startNode(name, place, { policy: {} }));
    const { code } = await nodes[0]!.event('declined');
    expect(code).toBe('WEFT_POLICY_REFUSED');
    await federation.admin('POST', `/api/runs/${runId}/stop`);
  });
});
