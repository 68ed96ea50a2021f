import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { checks } from './checks/checks.ts';

/** Runs each check, shows the output of those that fail, and counts. */
export const runChecks = (): { passed: number; failed: number } => {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const count = { passed: 0, failed: 0 };
  for (const check of checks) {
    const { passed, output } = check.run(root);
    count[passed ? 'passed' : 'failed'] += 1;
    process.stdout.write(`${passed ? '✓' : '✗'} ${check.name}\n${passed ? '' : output}`);
  }
  return count;
};

if (import.meta.main) process.exitCode = runChecks().failed === 0 ? 0 : 1;
