import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyPassword } from './admin-password.ts';
import { initCoordinator, openCoordinatorHome } from './home.ts';
import { announceRunning, findRunning } from './running.ts';

let folder: string;
let home: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-coordinator-'));
  home = join(folder, 'home');
});
afterEach(() => rm(folder, { recursive: true }));

describe("a coordinator's home", () => {
  it('is for its owner alone, each file of it', async () => {
    await initCoordinator(home, { config: { name: 'libraries' } });
    expect((await stat(home)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(home)) {
      if (name !== 'lock') expect((await stat(join(home, name))).mode & 0o777, name).toBe(0o600);
    }
  });

  it('shows a password of 128 bits once and keeps its hash only', async () => {
    const { password } = await initCoordinator(home);
    expect(password?.replaceAll('-', '')).toMatch(/^[0-9a-f]{32}$/);
    for (const name of await readdir(home))
      expect((await readFile(join(home, name), 'latin1')).includes(password!), name).toBe(false);
    const opened = await openCoordinatorHome(home);
    expect(await verifyPassword(password!, opened.passwordHash)).toBe(true);
    expect(await verifyPassword(`${password!} `, opened.passwordHash)).toBe(false);
    await opened.release();
  });

  it('takes a password from a file and then never shows it', async () => {
    const passwordFile = join(folder, 'password');
    await writeFile(passwordFile, 'correct horse battery\n');
    expect(await initCoordinator(home, { passwordFile })).not.toHaveProperty('password');
    const opened = await openCoordinatorHome(home);
    expect(await verifyPassword('correct horse battery', opened.passwordHash)).toBe(true);
    await opened.release();
    await writeFile(passwordFile, 'short\n');
    await expect(initCoordinator(join(folder, 'other'), { passwordFile })).rejects.toMatchObject({
      code: 'WEFT_CONFIG_INVALID',
    });
  });

  it('is made once, and keeps its identity', async () => {
    const { federationId } = await initCoordinator(home);
    await expect(initCoordinator(home)).rejects.toMatchObject({ code: 'WEFT_COORDINATOR_HOME_EXISTS' });
    const opened = await openCoordinatorHome(home);
    expect(opened.federationId).toBe(federationId);
    await opened.release();
    await expect(openCoordinatorHome(join(folder, 'none'))).rejects.toMatchObject({ code: 'WEFT_COORDINATOR_HOME' });
  });

  it('belongs to one process at a time, and is free when that is gone', async () => {
    await initCoordinator(home);
    const opened = await openCoordinatorHome(home);
    await expect(openCoordinatorHome(home)).rejects.toMatchObject({ code: 'WEFT_HOME_LOCKED' });
    const other = spawnSync(
      process.execPath,
      [
        '-e',
        `import(${JSON.stringify(new URL('./home-lock.ts', import.meta.url).href)}).then(({ lockHome }) => lockHome(${JSON.stringify(home)}))`,
      ],
      { encoding: 'utf8' },
    );
    expect(other.status).not.toBe(0);
    expect(other.stderr).toContain('another coordinator uses the home');
    await opened.release();
    await (await openCoordinatorHome(home)).release();
  });

  it('is not used when others could have read its secrets', async () => {
    await initCoordinator(home);
    await chmod(join(home, 'identity.seed'), 0o644);
    await expect(openCoordinatorHome(home)).rejects.toMatchObject({ code: 'WEFT_COORDINATOR_HOME_EXPOSED' });
  });

  it('is not used with an admin token that was emptied or cut short, and takes another one', async () => {
    await initCoordinator(home);
    const tokenFile = join(home, 'admin-token');
    for (const token of ['', '\n', 'ab'.repeat(8), 'x'.repeat(64)]) {
      await writeFile(tokenFile, token);
      await expect(openCoordinatorHome(home)).rejects.toMatchObject({ code: 'WEFT_COORDINATOR_TOKEN' });
    }
    const another = 'ab'.repeat(32);
    await writeFile(tokenFile, `${another}\n`);
    const opened = await openCoordinatorHome(home);
    expect(opened.adminToken).toBe(another);
    await opened.release();
  });

  it('tells commands where the coordinator that runs on it is reached', async () => {
    await initCoordinator(home);
    await expect(findRunning(home)).rejects.toMatchObject({ code: 'WEFT_ADMIN_UNREACHABLE' });
    const opened = await openCoordinatorHome(home);
    await announceRunning(home, { pid: 1, httpUrl: 'http://127.0.0.1:9/', grpcAddress: '127.0.0.1:8' });
    expect(await findRunning(home)).toMatchObject({ httpUrl: 'http://127.0.0.1:9/', adminToken: opened.adminToken });
    await opened.release();
    await expect(findRunning(home)).rejects.toMatchObject({ code: 'WEFT_ADMIN_UNREACHABLE' });
  });
});
