import { constants } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { WeftError } from '@weft/shared';
import { writePrivateFile } from '../home/private-file.ts';
import { maxPolicyBytes, parsePolicy } from './parse-policy.ts';
import { defaultPolicy, type Policy } from './policy.ts';
import { policyYaml } from './policy-text.ts';

export const policyPath = (home: string): string => join(home, 'policy.yaml');

export interface PolicyInForce {
  readonly policy: Policy;
  readonly path: string;
  /** false: there is no file, and the defaults hold. */
  readonly isWritten: boolean;
}

/**
 * The policy of a home. A file that is there and cannot be used is never taken for one that is not there.
 * @throws WEFT_POLICY_INVALID, WEFT_POLICY_UNREADABLE, WEFT_POLICY_EXPOSED
 */
export async function readPolicy(home: string): Promise<PolicyInForce> {
  const path = policyPath(home);
  const text = await readText(path);
  return text === undefined
    ? { policy: defaultPolicy, path, isWritten: false }
    : { policy: parsePolicy(text, path), path, isWritten: true };
}

async function readText(path: string): Promise<string | undefined> {
  const unreadable = (why: string, cause?: unknown): WeftError =>
    new WeftError('WEFT_POLICY_UNREADABLE', `${path} ${why}, so nothing is trained`, {}, { cause });
  let file;
  try {
    // without O_NONBLOCK a pipe of this name would hold the node for ever
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw unreadable(`cannot be read: ${code ?? 'unknown'}`, error);
  }
  try {
    const { mode, size } = await file.stat();
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw unreadable('is not a plain file');
    if (process.platform !== 'win32' && (mode & 0o022) !== 0) {
      throw new WeftError(
        'WEFT_POLICY_EXPOSED',
        `${path} has mode ${(mode & 0o777).toString(8)}: others may change what this node takes part in`,
      );
    }
    if (size > maxPolicyBytes) throw unreadable(`has ${size} bytes, the limit is ${maxPolicyBytes}`);
    const bytes = await file.readFile();
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof WeftError) throw error;
    throw unreadable(error instanceof TypeError ? 'is not UTF-8' : 'cannot be read', error);
  } finally {
    await file.close();
  }
}

/** Written for its owner alone, whole or not at all. @throws WEFT_POLICY_EXISTS where `replace` is not said */
export async function writePolicy(home: string, policy: Policy, { replace = false } = {}): Promise<string> {
  const path = policyPath(home);
  if (!replace && (await exists(path))) throw new WeftError('WEFT_POLICY_EXISTS', `${path} is there already`);
  await mkdir(home, { recursive: true, mode: 0o700 });
  await writePrivateFile(path, policyYaml(policy));
  return path;
}

async function exists(path: string): Promise<boolean> {
  try {
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    await file.close();
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}
