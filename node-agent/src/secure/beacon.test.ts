import { mkdtemp, readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRunSpec, secagg, sha256 } from '@weft/shared';
import { beforeEach, describe, expect, test } from 'vitest';
import { createPendingUpdates } from '../round/pending-updates.ts';
import { awaitReveals, commitBeacon, noteReveals, readBeacon, refuseUnrevealed } from './beacon.ts';

const specOf = (maximum: number) =>
  parseRunSpec({
    name: 'many',
    baseModel: { name: 'none', sha256: sha256('model') },
    training: { steps: 1 },
    cohort: { minimum: 100, maximum },
    aggregation: {},
    rounds: 1,
  });
const runId = `r_${'1'.repeat(32)}`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-beacon-'));
});

describe('a beacon', () => {
  test('commits to the same bytes as long as the round lasts, to others in the next, and to none in a small cohort', async () => {
    const commitment = await commitBeacon(folder, { runId, round: 3 }, specOf(129));
    expect(await commitBeacon(folder, { runId, round: 3 }, specOf(129))).toEqual(commitment);
    expect(secagg.beaconCommitment((await readBeacon(folder, runId, 3))!)).toEqual(commitment);
    expect(await commitBeacon(folder, { runId, round: 4 }, specOf(129))).not.toEqual(commitment);
    expect(await commitBeacon(folder, { runId, round: 5 }, specOf(128))).toHaveLength(0);
    expect(await readBeacon(folder, runId, 5)).toBeUndefined();
    expect((await stat(join(folder, `${runId}.3.beacon`))).mode & 0o777).toBe(0o600);
  });

  test('forgets them with the update that they lie beside', async () => {
    await commitBeacon(folder, { runId, round: 3 }, specOf(129));
    await createPendingUpdates(folder).remove(runId, 3);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('a beacon that does not reveal', () => {
  test('is forgiven once, and again after every beacon revealed; twice in a row ends the run here', async () => {
    await awaitReveals(folder, runId, 0);
    await awaitReveals(folder, runId, 0);
    await refuseUnrevealed(folder, runId);
    await noteReveals(folder, runId);
    await awaitReveals(folder, runId, 1);
    await refuseUnrevealed(folder, runId);
    await awaitReveals(folder, runId, 2);
    await expect(refuseUnrevealed(folder, runId)).rejects.toMatchObject({
      code: 'WEFT_SECAGG_REFUSED',
      message: expect.stringContaining('rounds 1 and 2'),
    });
    await refuseUnrevealed(folder, `r_${'2'.repeat(32)}`);
  });
});
