import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { WeftError, createIdentity, toFederationId, type FederationId, type Identity } from '@weft/shared';
import { stringify } from 'yaml';
import type { z } from 'zod';
import { coordinatorConfigSchema } from '../config/coordinator-config.ts';
import { resolveConfig } from '../config/resolve-config.ts';
import {
  createPassword,
  hashPassword,
  parsePasswordHash,
  readPasswordFile,
  type PasswordHash,
} from './admin-password.ts';
import { lockHome } from './home-lock.ts';
import { makePrivateFolder, writePrivateFile } from './private-files.ts';
import { readPrivateFile } from './read-private-file.ts';
import { adminTokenFile, forgetRunning } from './running.ts';

/** The files of a coordinator's home that are not the store's; the folder and each file are for their owner alone. */
const files = {
  seed: 'identity.seed',
  token: adminTokenFile,
  password: 'admin-password.json',
  config: 'config.yaml',
} as const;

const seedBytes = 32;
const tokenBytes = 32;
const tokenPattern = /^[0-9a-f]{64}$/;

/** A coordinator's home, held by this process. */
export interface CoordinatorHome {
  readonly path: string;
  readonly identity: Identity;
  readonly federationId: FederationId;
  /** Opens the admin API to commands on this machine. */
  readonly adminToken: string;
  readonly passwordHash: PasswordHash;
  readonly configText: string;
  setPassword(password: string): Promise<void>;
  /** Lets another process have it. */
  release(): Promise<void>;
}

export interface InitOptions {
  /** What the config file starts with. */
  readonly config?: Partial<z.input<typeof coordinatorConfigSchema>>;
  /** Then no password is made up, and none is ever printed. */
  readonly passwordFile?: string;
}

export interface InitResult {
  readonly federationId: FederationId;
  /** To be shown once; only its hash is kept. */
  readonly password?: string;
}

/**
 * Makes a home: identity, admin token, password, configuration. The configuration comes last, so a home that has one is whole.
 * @throws WEFT_COORDINATOR_HOME_EXISTS, WEFT_HOME_LOCKED, WEFT_CONFIG_INVALID
 */
export async function initCoordinator(
  home: string,
  { config = {}, passwordFile }: InitOptions = {},
): Promise<InitResult> {
  resolveConfig(coordinatorConfigSchema, { flags: config });
  await makePrivateFolder(home);
  const lock = lockHome(home);
  try {
    if ((await readPrivateFile(join(home, files.config))) !== undefined) {
      throw new WeftError('WEFT_COORDINATOR_HOME_EXISTS', `${home} is the home of a coordinator already`);
    }
    const chosen = passwordFile === undefined ? undefined : await readPasswordFile(passwordFile);
    const password = chosen ?? createPassword();
    const { identity, seed } = createIdentity();
    await writePrivateFile(join(home, files.seed), seed);
    await writePrivateFile(join(home, files.token), randomBytes(tokenBytes).toString('hex'));
    await writePrivateFile(join(home, files.password), JSON.stringify(await hashPassword(password)));
    await writePrivateFile(join(home, files.config), stringify(config));
    return { federationId: toFederationId(identity.publicKey), ...(chosen === undefined && { password }) };
  } finally {
    lock.release();
  }
}

/** @throws WEFT_COORDINATOR_HOME, WEFT_COORDINATOR_HOME_EXPOSED, WEFT_COORDINATOR_TOKEN, WEFT_HOME_LOCKED */
export async function openCoordinatorHome(home: string): Promise<CoordinatorHome> {
  if ((await readPrivateFile(join(home, files.config))) === undefined) {
    throw new WeftError('WEFT_COORDINATOR_HOME', `${home} is not the home of a coordinator`);
  }
  await makePrivateFolder(home);
  const lock = lockHome(home);
  const read = async (name: string): Promise<Buffer> => {
    const content = await readPrivateFile(join(home, name));
    if (content === undefined) throw new WeftError('WEFT_COORDINATOR_HOME', `${join(home, name)} is missing`);
    return content;
  };
  try {
    const seed = await read(files.seed);
    if (seed.length !== seedBytes)
      throw new WeftError('WEFT_COORDINATOR_HOME', `${files.seed} has ${seed.length} bytes, it must have ${seedBytes}`);
    const { identity } = createIdentity(seed);
    // An emptied file would open the admin API to whoever sends nothing.
    const adminToken = (await read(files.token)).toString().trim();
    if (!tokenPattern.test(adminToken))
      throw new WeftError(
        'WEFT_COORDINATOR_TOKEN',
        `${join(home, files.token)} has ${adminToken.length} characters, it must have 64 hex digits`,
      );
    let passwordHash = parsePasswordHash((await read(files.password)).toString());
    return {
      path: home,
      identity,
      federationId: toFederationId(identity.publicKey),
      adminToken,
      configText: (await read(files.config)).toString(),
      get passwordHash() {
        return passwordHash;
      },
      async setPassword(password) {
        passwordHash = await hashPassword(password);
        await writePrivateFile(join(home, files.password), JSON.stringify(passwordHash));
      },
      async release() {
        await forgetRunning(home);
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}
