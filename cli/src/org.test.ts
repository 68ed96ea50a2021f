import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readEndorsement, parseEndorsement, parseModelStatement } from '@weft/shared';
import { afterAll, describe, expect, it } from 'vitest';

const entry = fileURLToPath(new URL('../bin/weft.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'weft-org-'));
afterAll(() => rmSync(folder, { recursive: true }));
const weft = (...argv: string[]) =>
  spawnSync(process.execPath, [entry, ...argv], { encoding: 'utf8', timeout: 30_000 });

describe('weft org', () => {
  const key = join(folder, 'org.key');
  const federation = `f_${'0'.repeat(32)}`;

  it('makes a key for its owner alone, and never over another file', () => {
    const made = JSON.parse(weft('org', 'create', '--out', key, '--json').stdout) as { publicKey: string };
    expect(made.publicKey).toMatch(/^[0-9a-f]{64}$/);
    expect(statSync(key).mode & 0o777).toBe(0o600);
    const before = readFileSync(key, 'utf8');
    expect(weft('org', 'create', '--out', key)).toMatchObject({ status: 2 });
    expect(readFileSync(key, 'utf8')).toBe(before);
    expect(JSON.parse(weft('org', 'key', '--key', key, '--json').stdout)).toEqual(made);
  });

  it('takes no secret key that others may read, and none that is pasted where a public one is due', () => {
    const copy = join(folder, 'copy.key');
    writeFileSync(copy, readFileSync(key), { mode: 0o644 });
    expect(weft('org', 'key', '--key', copy)).toMatchObject({
      status: 6,
      stdout: '',
      stderr: expect.stringContaining('[WEFT_ORG_KEY_EXPOSED]'),
    });
    const pasted = readFileSync(key, 'utf8').trim();
    const home = join(folder, 'pasting-node');
    const init = weft(...'node policy init --yes --home'.split(' '), home, '--trusted-organisations', pasted);
    expect(init).toMatchObject({ status: 2, stderr: expect.stringContaining('64 lower-case hex digits') });
  });

  it('signs for the key that the node prints, in one federation', () => {
    const nodeKey = weft('node', 'key', '--home', join(folder, 'node')).stdout.trim();
    const words = ['org', 'endorse', '--key', key, '--federation', federation, nodeKey];
    const read = (...more: string[]) =>
      readEndorsement(parseEndorsement(weft(...words, ...more).stdout), federation, Buffer.from(nodeKey, 'hex'))!;
    expect(read().organisation).toMatch(/^[0-9a-f]{64}$/);
    expect(Math.round((read().until - Date.now() / 1000) / 86_400)).toBe(365);
    expect(read('--until', '2099-12-31').until).toBe(Date.UTC(2099, 11, 31) / 1000);
    expect(read('--until', 'never').until).toBe(Number.MAX_SAFE_INTEGER);
    for (const past of ['2020-01-01', '2099-02-30', 'soon'])
      expect(weft(...words, '--until', past)).toMatchObject({ status: 2, stdout: '' });
  });

  it('signs for a base model, and a node whose policy lists the key takes the line', () => {
    const statement = join(folder, 'statement');
    const home = join(folder, 'publishing-node');
    const sha256 = 'a'.repeat(64);
    const signed = weft('org', 'sign-model', '--key', key, sha256);
    writeFileSync(statement, signed.stdout);
    expect(parseModelStatement(signed.stdout)).toMatchObject({ sha256 });
    const init = (publishers: string) =>
      weft(
        ...'node policy init --yes --replace --base-models none --home'.split(' '),
        home,
        '--publishers',
        publishers,
      );
    expect(init('f'.repeat(64))).toMatchObject({ status: 0 });
    const trust = () => weft('node', 'policy', 'trust-model', statement, '--home', home);
    expect(trust()).toMatchObject({ status: 2, stderr: expect.stringContaining('does not list') });
    expect(init(parseModelStatement(signed.stdout).publisher)).toMatchObject({ status: 0 });
    expect(trust()).toMatchObject({ status: 0 });
    expect(weft('node', 'policy', 'show', '--home', home).stdout).toContain(`base model ${sha256}: signed by`);
  });

  it('refuses what is no key and no federation', () => {
    expect(weft('org', 'endorse', '--key', key, '--federation', 'here', '0'.repeat(64))).toMatchObject({ status: 2 });
    expect(weft('org', 'endorse', '--key', key, '--federation', federation, 'abc')).toMatchObject({ status: 2 });
  });
});
