import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isWeftError, parseModelStatement, WeftError, type ModelStatement } from '@weft/shared';
import { writePrivateFile } from '../home/private-file.ts';
import { readPolicy } from './policy-file.ts';
import type { Policy } from './policy.ts';

/** A statement is one line of 182 letters; whoever names another file should hear so. */
const maxStatementBytes = 4096;

const folderOf = (home: string): string => join(home, 'model-statements');

/**
 * Keeps a publisher's statement, so that its base model may be trained from the next start on.
 * @throws WEFT_MODEL_STATEMENT_INVALID, also where the policy does not list the publisher
 */
export async function trustModel(home: string, file: string): Promise<ModelStatement> {
  const unreadable = (why: string, cause?: unknown): WeftError =>
    new WeftError('WEFT_MODEL_STATEMENT_INVALID', `${file} ${why}`, {}, { cause });
  const { size } = await stat(file).catch((cause: unknown) => {
    throw unreadable('cannot be read', cause);
  });
  if (size > maxStatementBytes) throw unreadable(`has ${size} bytes, the limit is ${maxStatementBytes}`);
  const text = await readFile(file, 'utf8');
  const statement = parseModelStatement(text);
  const { policy } = await readPolicy(home);
  if (!isListed(policy, statement))
    throw unreadable(`is signed by ${statement.publisher}, which publishers of the policy does not list`);
  await mkdir(folderOf(home), { recursive: true, mode: 0o700 });
  await writePrivateFile(join(folderOf(home), `${statement.sha256}.${statement.publisher}`), `${text.trim()}\n`);
  return statement;
}

/** Of the publishers that the policy lists now. A file that is no statement allows nothing. */
export async function readPublished(home: string, policy: Policy): Promise<readonly ModelStatement[]> {
  const names: readonly string[] = await readdir(folderOf(home)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const statements: ModelStatement[] = [];
  for (const name of names.toSorted()) {
    try {
      statements.push(parseModelStatement(await readFile(join(folderOf(home), name), 'utf8')));
    } catch (error) {
      if (!isWeftError(error, 'WEFT_MODEL_STATEMENT_INVALID')) throw error;
    }
  }
  return statements.filter((statement) => isListed(policy, statement));
}

/** The policy that the rules hold runs against: what its publishers signed is allowed as if it were listed. */
export function withPublished(policy: Policy, published: readonly ModelStatement[]): Policy {
  if (policy.baseModels === 'any') return policy;
  const named = policy.baseModels === 'none' ? [] : policy.baseModels;
  const signed = published.filter((statement) => isListed(policy, statement)).map(({ sha256 }) => sha256);
  return { ...policy, baseModels: [...named, ...signed] };
}

const isListed = ({ publishers }: Policy, { publisher }: ModelStatement): boolean =>
  publishers !== 'none' && publishers.includes(publisher);
