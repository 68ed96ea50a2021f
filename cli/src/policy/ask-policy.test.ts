import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { defaultPolicy, readPolicy } from '@weft/node-agent';
import { afterAll, describe, expect, it } from 'vitest';

const entry = fileURLToPath(new URL('../../bin/weft.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'weft-questions-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** util-linux: runs a command on a terminal of its own. */
const hasScript = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0;

const ctrl = { c: '\u0003', d: '\u0004', u: '\u0015' } as const;
const enter = '\r';
const down = '\u001B[B';

/** `weft node policy init` on a terminal. */
function openTerminal(home: string, ...flags: string[]) {
  const line = [
    'stty cols 100 rows 50;',
    process.execPath,
    entry,
    'node',
    'policy',
    'init',
    '--home',
    home,
    ...flags,
  ].join(' ');
  const child = spawn('script', ['-qefc', line, '/dev/null'], {
    stdio: 'pipe',
    env: { ...process.env, TERM: 'xterm' },
  });
  let shown = '';
  let seen = 0;
  let look = (): void => {};
  child.stdout.on('data', (chunk: Buffer) => {
    shown += stripVTControlCharacters(chunk.toString());
    look();
  });
  const closed = once(child, 'close').then(([code]) => ({ code: code as number | null, shown }));
  return {
    closed,
    /** Waits until the terminal shows this after all that was waited for before, then types. */
    async at(text: string, ...keys: string[]): Promise<void> {
      const isShown = new Promise<void>((resolve) => {
        look = () => {
          const found = shown.indexOf(text, seen);
          if (found === -1) return;
          seen = found + text.length;
          resolve();
        };
        look();
      });
      await Promise.race([
        isShown,
        closed.then(({ code }) => {
          throw new Error(`it ended with ${code} before it showed "${text}":\n${shown}`);
        }),
      ]);
      for (const key of keys) child.stdin.write(key);
    },
  };
}

describe.skipIf(!hasScript)('weft node policy init on a terminal', () => {
  it('asks what the answers before leave open, says what is wrong with one, and writes what was answered', async () => {
    const home = join(folder, 'asked');
    const [north, south] = ['a'.repeat(64), 'b'.repeat(64)];
    const terminal = openTerminal(home);
    await terminal.at("May the coordinator ever read this node's own update?", enter);
    await terminal.at('How many nodes must take part', 'x', enter);
    await terminal.at('must be a whole number from 3 to 10000', ctrl.u, '4', enter);
    await terminal.at('conspire with the coordinator', enter);
    await terminal.at('Which organisations do you trust', 'abc', enter);
    await terminal.at('abc: must be 64 lower-case hex digits', ctrl.u, `${north}, ${south},`, enter);
    await terminal.at('Members of how many of these organisations', '3', enter);
    await terminal.at('is more than the 2 of trustedOrganisations', ctrl.u, '2', enter);
    await terminal.at('Which base models may be trained?', 'none', enter);
    await terminal.at("Which publishers' signatures allow a base model too?", enter);
    await terminal.at('must be 64 lower-case hex digits', north, enter);
    await terminal.at('How many rounds may a run have', '20', enter);
    await terminal.at('How much of its privacy may the data spend', '3', enter);
    await terminal.at('At which δ is that ε counted?', enter);
    await terminal.at('Where is ε counted?', 'ledger', enter);
    await terminal.at('must be home, or the absolute path of a folder', ctrl.u, '/srv/ledger', enter);
    await terminal.at('Under which name is this data counted there?', 'letters', enter);
    // with a budget there is no figure to ask for: a run with noise gets none
    await terminal.at('When may a round begin?', '22-6', enter);
    await terminal.at('must be HH:MM-HH:MM', ctrl.u, '22:00-06:00', enter);
    await terminal.at('How many threads', enter);
    await terminal.at('Shall this node cosign', down, enter);
    await terminal.at('Must you approve each run?', enter);
    const { code, shown } = await terminal.closed;
    expect(code).toBe(0);
    expect(shown).not.toContain('Which figures may leave');
    expect(shown).toContain(`${join(home, 'policy.yaml')}`);
    expect((await readPolicy(home)).policy).toEqual({
      ...defaultPolicy,
      smallestCohort: 4,
      trustedOrganisations: [north, south],
      fewestOrganisations: 2,
      baseModels: 'none',
      publishers: [north],
      mostRounds: 20,
      privacyBudget: 3,
      privacyLedger: '/srv/ledger',
      dataSet: 'letters',
      hours: ['22:00-06:00'],
      witness: 'yes',
    });
  });

  it('begins from the policy that is there, and keeps what it does not ask for', async () => {
    const home = join(folder, 'replaced');
    expect(spawnSync(process.execPath, [entry, 'node', 'policy', 'init', '--yes', '--home', home, '--greatest-rank', '8', '--most-rounds', '7']).status).toBe(0); // prettier-ignore
    const refused = await openTerminal(home).closed;
    expect(refused).toMatchObject({ code: 2, shown: expect.stringContaining('WEFT_POLICY_EXISTS') });
    const terminal = openTerminal(home, '--replace', '--smallest-cohort', '9', '--secure-aggregation', 'required');
    await terminal.at('conspire with the coordinator', enter);
    await terminal.at('Which organisations do you trust', enter);
    await terminal.at('Which base models may be trained?', enter);
    await terminal.at('How many rounds may a run have', enter);
    await terminal.at('How much of its privacy may the data spend', enter);
    // takes the mark off the first
    await terminal.at('Which figures may leave beside the update?', ' ', enter);
    await terminal.at('When may a round begin?', enter);
    await terminal.at('How many threads', enter);
    await terminal.at('Shall this node cosign', enter);
    await terminal.at('Must you approve each run?', down, enter);
    expect((await terminal.closed).code).toBe(0);
    expect((await readPolicy(home)).policy).toEqual({
      ...defaultPolicy,
      greatestRank: 8,
      mostRounds: 7,
      smallestCohort: 9,
      metrics: ['training-time', 'clipping'],
      approval: 'by-hand',
    });
  });

  it.each([
    ['Ctrl-C', ctrl.c],
    ['Ctrl-D', ctrl.d],
  ])('writes nothing when it is left with %s', async (_name, key) => {
    const home = join(folder, 'left');
    const terminal = openTerminal(home, '--secure-aggregation', 'required');
    await terminal.at('How many nodes must take part', '7', key);
    const { code, shown } = await terminal.closed;
    expect(code).toBe(130);
    expect(shown).toContain('Nothing was written.');
    expect(existsSync(home)).toBe(false);
  });
});

describe('weft node policy init without questions', () => {
  const init = (...flags: string[]) =>
    spawnSync(process.execPath, [entry, 'node', 'policy', 'init', '--home', join(folder, 'unasked'), ...flags], {
      encoding: 'utf8',
    });

  it('says that there is nobody to ask', () => {
    expect(init()).toMatchObject({ status: 2, stderr: expect.stringContaining('give --yes') });
  });

  it('names the flags that are wrong', () => {
    const { status, stderr } = init('--yes', '--threads', '0', '--hours', '22:00-06:00,7');
    expect(status).toBe(2);
    expect(stderr).toContain('--threads 0: must be any or a whole number from 1 to 1024');
    expect(stderr).toContain('--hours 7: must be HH:MM-HH:MM');
    expect(stderr).not.toContain('22:00-06:00: must');
  });

  it('writes over a policy that cannot be read, and says so', () => {
    expect(init('--yes').status).toBe(0);
    writeFileSync(join(folder, 'unasked', 'policy.yaml'), 'mostRounds: many\n');
    expect(init('--yes', '--replace')).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('from the defaults'),
    });
  });
});
