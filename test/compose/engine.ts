import { spawnSync } from 'node:child_process';

const works = (program: string, ...args: readonly string[]): boolean =>
  spawnSync(program, args, { stdio: 'ignore', timeout: 20_000 }).status === 0;

/** How compose is called on this machine, where a container engine is running. */
export const findCompose = (): readonly [string, ...string[]] | undefined => {
  if (!works('docker', 'info')) return undefined;
  if (works('docker', 'compose', 'version')) return ['docker', 'compose'];
  return works('docker-compose', '--version') ? ['docker-compose'] : undefined;
};
