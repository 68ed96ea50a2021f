import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { costOfUpdate, isWeftError, parseRunSpec, privacy, updateEncoding } from '@weft/shared';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readLedger } from './ledger-file.ts';
import { parseLedger } from './ledger-line.ts';
import { createPrivacyLedger, readStatements } from './privacy-ledger.ts';

const spec = parseRunSpec({
  name: 'letters } of "1920"\n',
  baseModel: { name: 'tiny', sha256: 'a'.repeat(64) },
  training: { steps: 1 },
  cohort: { minimum: 5, maximum: 5 },
  aggregation: { mode: 'secure', weighting: 'uniform', clipNormL2: 1 },
  evaluation: { heldOutShare: 0 },
  privacy: { noiseMultiplier: 3 },
  rounds: 10,
});
const { privacy: _noise, ...silent } = spec;
const values = 2048;
const cost = costOfUpdate(updateEncoding(spec, values))!;
const epsilonAfter = (rounds: number): number =>
  privacy.epsilonSpent({ rdp: privacy.repeated(cost.rdp, rounds), delta: cost.delta * rounds }, 1e-5).epsilon;
const roundOf = (round: number, payload = `${round}`) => ({
  spec,
  values,
  clipNormL2: 1,
  federationId: 'f_1',
  runId: 'r_1',
  round,
  payloadSha256: payload.padStart(64, '0'),
});

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'weft-ledger-'))));
afterEach(() => rm(folder, { recursive: true }));
const file = (): string => join(folder, 'ledger.txt');
const place = () => ({ folder, markFile: join(folder, 'mark.json') });
const ledger = (budget?: { epsilon: number; delta: number }, dataSet = 'data') =>
  createPrivacyLedger({ place: place(), dataSet, budget });
const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => (isWeftError(error) ? error.code : error),
  );

describe('the privacy ledger', () => {
  it('adds up divergences under one δ, over restarts, runs and federations', async () => {
    await ledger().charge(roundOf(0));
    await ledger().charge({ ...roundOf(0), runId: 'r_2' });
    await ledger().charge({ ...roundOf(7), federationId: 'f_2' });
    await ledger(undefined, 'other').charge(roundOf(8));
    const [data, other] = await readStatements(place(), 1e-5);
    expect(data).toMatchObject({ dataSet: 'data', rounds: 3, runs: 2, federations: 2 });
    expect(data!.epsilon).toBeCloseTo(epsilonAfter(3), 9);
    expect(data!.epsilon).toBeLessThan(3 * epsilonAfter(1));
    expect(other!.epsilon).toBeCloseTo(epsilonAfter(1), 9);
    const { charges } = await readLedger(place());
    expect(charges[0]).toMatchObject({ runName: spec.name, noiseMultiplier: 3 });
  });

  it('charges the same bytes once, and other bytes of the same round again', async () => {
    await ledger().charge(roundOf(0));
    await ledger().charge(roundOf(0));
    expect((await readLedger(place())).charges).toHaveLength(1);
    await ledger().charge(roundOf(0, 'abc'));
    expect((await readLedger(place())).charges).toHaveLength(2);
  });

  it('loses no charge of agents that share it', async () => {
    await Promise.all(Array.from({ length: 4 }, (_, round) => ledger().charge(roundOf(round))));
    expect((await readLedger(place())).charges).toHaveLength(4);
  });

  it('refuses the round that the budget does not reach for, with both numbers, and writes nothing', async () => {
    const budget = { epsilon: (epsilonAfter(2) + epsilonAfter(3)) / 2, delta: 1e-5 };
    for (const round of [0, 1]) {
      await ledger(budget).admit({ spec, values, clipNormL2: 1 });
      await ledger(budget).charge(roundOf(round));
    }
    const before = await readFile(file());
    expect(await codeOf(ledger(budget).admit({ spec, values, clipNormL2: 1 }))).toBe('WEFT_PRIVACY_BUDGET_SPENT');
    await expect(ledger(budget).charge(roundOf(2))).rejects.toThrow(
      `from ${epsilonAfter(2).toFixed(3)} to ${epsilonAfter(3).toFixed(3)} at δ = 0.00001, the budget is ${budget.epsilon}`,
    );
    expect(await readFile(file())).toEqual(before);
    // What was paid for may still be sent.
    await ledger(budget).charge(roundOf(1));
  });

  it('with a budget refuses rounds without noise; without one it has nothing to count in them', async () => {
    const silentSpec = parseRunSpec(silent);
    expect(await codeOf(ledger({ epsilon: 100, delta: 1e-5 }).admit({ spec: silentSpec, values, clipNormL2: 1 }))).toBe(
      'WEFT_PRIVACY_NOISE_REQUIRED',
    );
    await ledger().charge({ ...roundOf(0), spec: silentSpec });
    expect(await readStatements(place(), 1e-5)).toEqual([]);
  });

  it('goes on behind a charge that a crash cut short, at any byte of it', async () => {
    await ledger().charge(roundOf(0));
    const { length } = await readFile(file());
    const markOfOne = await readFile(place().markFile);
    await ledger().charge(roundOf(1));
    const whole = await readFile(file());
    for (const left of [length, length + 1, length + 64, length + 500, whole.length - 2]) {
      await writeFile(file(), whole.subarray(0, left));
      await writeFile(place().markFile, markOfOne);
      expect((await readLedger(place())).charges).toHaveLength(1);
      await ledger().charge(roundOf(2));
      expect((await readLedger(place())).charges.map(({ round }) => round)).toEqual([0, 2]);
    }
    await writeFile(file(), whole);
    await writeFile(place().markFile, markOfOne);
    await truncate(file(), whole.length - 1);
    await ledger().charge(roundOf(2));
    expect((await readLedger(place())).charges.map(({ round }) => round)).toEqual([0, 1, 2]);
  });

  it('is not trusted when any byte of it is another, and then neither admits nor charges', async () => {
    for (const round of [0, 1]) await ledger().charge(roundOf(round));
    const whole = await readFile(file());
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const bytes = Buffer.from(whole);
        bytes[at]! ^= change;
        expect(() => parseLedger(bytes)).toThrow('cannot be trusted');
      }),
      { numRuns: 400 },
    );
    for (const at of [whole.length - 1, whole.length - 2]) {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 1;
      expect(() => parseLedger(bytes)).toThrow('cannot be trusted');
    }
    await writeFile(file(), whole.subarray(100));
    expect(await codeOf(ledger().admit({ spec, values, clipNormL2: 1 }))).toBe('WEFT_PRIVACY_LEDGER_DAMAGED');
    expect(await codeOf(ledger().charge(roundOf(5)))).toBe('WEFT_PRIVACY_LEDGER_DAMAGED');
    expect(await readFile(file())).toEqual(whole.subarray(100));
  });

  it('is not trusted where charges that this home made are gone, whatever else is whole', async () => {
    const mark = place().markFile;
    await ledger().charge(roundOf(0));
    const older = await readFile(file());
    await ledger().charge(roundOf(1));
    const newer = await readFile(file());
    const refused = async (): Promise<void> => {
      expect(await codeOf(ledger().admit({ spec, values, clipNormL2: 1 }))).toBe('WEFT_PRIVACY_LEDGER_DAMAGED');
      expect(await codeOf(ledger().charge(roundOf(5)))).toBe('WEFT_PRIVACY_LEDGER_DAMAGED');
      expect(await codeOf(readStatements(place(), 1e-5))).toBe('WEFT_PRIVACY_LEDGER_DAMAGED');
    };
    await writeFile(file(), older);
    await refused();
    await rm(file());
    await refused();
    // One that went another way from the first charge on.
    await rm(mark);
    await writeFile(file(), older);
    await ledger().charge(roundOf(7));
    await ledger().charge(roundOf(8));
    await writeFile(file(), newer);
    await refused();
    await writeFile(mark, 'two');
    await refused();
    // A ledger that grew, by another home's hand, is this one's still; so is one whose mark a crash left behind.
    await rm(mark);
    await ledger().charge(roundOf(1));
    await createPrivacyLedger({ place: { folder }, dataSet: 'data' }).charge(roundOf(9));
    await ledger().admit({ spec, values, clipNormL2: 1 });
  });

  it('reads any bytes at all as a ledger or as damage, and nothing else', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          fc.string().map((text) => Buffer.from(`${text}}\n`)),
        ),
        (bytes) => {
          try {
            expect(parseLedger(bytes).charges).toEqual([]);
          } catch (error) {
            expect(isWeftError(error, 'WEFT_PRIVACY_LEDGER_DAMAGED')).toBe(true);
          }
        },
      ),
    );
  });
});
