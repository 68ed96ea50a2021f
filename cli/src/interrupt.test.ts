import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const interruptModule = fileURLToPath(new URL('interrupt.ts', import.meta.url));

it('drains at the first Ctrl-C and quits at the second', async () => {
  const script = `
    import { onInterrupt } from ${JSON.stringify(interruptModule)};
    const signal = onInterrupt('draining');
    signal.addEventListener('abort', () => console.log('drains'));
    setInterval(() => {}, 1000); // a command that never comes to its end
    console.log('works');
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  const said = async (): Promise<string> => String((await once(child.stdout, 'data'))[0]).trim();
  const told = once(child.stderr, 'data');
  expect(await said()).toBe('works');
  child.kill('SIGINT');
  expect(await said()).toBe('drains');
  expect(String((await told)[0])).toBe('draining; press Ctrl-C again to quit at once\n');
  child.kill('SIGINT');
  expect(await closed).toEqual([130, null]);
});
