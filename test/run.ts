import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { runChecks } from './check.ts';

// `pnpm test`: every test of the workspace, then the checks, then one closing line.
// Arguments go to vitest (`pnpm test trainer`), and then only those tests run, without the checks.

/** The part of vitest's JSON report that is read here. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

const root = fileURLToPath(new URL('..', import.meta.url));
const filters = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'weft-test-'));
const file = join(folder, 'report.json');

const vitest = spawnSync(
  process.execPath,
  [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
    ...filters,
  ],
  // Processes that tests start compile what the one before has compiled already: a third of their start.
  { cwd: root, stdio: 'inherit', env: { ...process.env, NODE_COMPILE_CACHE: join(folder, 'compiled') } },
);

const count = { passed: 0, failed: 0, skipped: 0 };
try {
  const report: Report = JSON.parse(readFileSync(file, 'utf8'));
  const skipped = report.testResults.flatMap(({ assertionResults }) =>
    assertionResults.filter(({ status }) => status !== 'passed' && status !== 'failed'),
  );
  // a file that could not even be loaded holds no test that could fail
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  for (const { fullName } of skipped) process.stdout.write(`skipped: ${fullName}\n`);
  count.passed = report.numPassedTests;
  count.failed = report.numFailedTests + broken.length;
  count.skipped = skipped.length;
} catch {
  process.stdout.write('vitest left no report\n');
}
rmSync(folder, { recursive: true });
if (vitest.status !== 0 && count.failed === 0) count.failed = 1;

if (filters.length === 0) {
  const { passed, failed } = runChecks();
  count.passed += passed;
  count.failed += failed;
}
process.stdout.write(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`);
process.exitCode = count.failed === 0 ? 0 : 1;
