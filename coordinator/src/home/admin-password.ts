import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { WeftError } from '@weft/shared';
import { z } from 'zod';

/** 32 MiB and a tenth of a second for each guess; RFC 7914's interactive parameters, doubled. */
const cost = { N: 2 ** 15, r: 8, p: 1 } as const;
const maxMemoryBytes = 128 * 1024 * 1024;
const keyBytes = 32;
const minFileCharacters = 12;

const hashSchema = z.strictObject({
  kdf: z.literal('scrypt'),
  N: z
    .number()
    .int()
    .max(2 ** 17),
  r: z.number().int().max(16),
  p: z.number().int().max(4),
  salt: z.base64(),
  hash: z.base64(),
});
export type PasswordHash = z.infer<typeof hashSchema>;

/** 128 random bits, in groups that a person can copy. */
export const createPassword = (): string =>
  randomBytes(16)
    .toString('hex')
    .replace(/(.{4})(?=.)/g, '$1-');

/** The first line of a file that an admin made. @throws WEFT_CONFIG_INVALID; never repeats what it holds */
export async function readPasswordFile(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new WeftError(
      'WEFT_CONFIG_INVALID',
      `WEFT_ADMIN_PASSWORD_FILE names ${path}, which cannot be read: ${cause.code ?? 'unknown'}`,
      {},
      { cause },
    );
  });
  const password = text.split('\n', 1)[0]?.trim() ?? '';
  if (password.length < minFileCharacters) {
    throw new WeftError(
      'WEFT_CONFIG_INVALID',
      `the password in ${path} has ${password.length} characters, it must have ${minFileCharacters} or more`,
    );
  }
  return password;
}

export async function hashPassword(password: string): Promise<PasswordHash> {
  const salt = randomBytes(16);
  const key = await deriveKey(password, salt, cost);
  return { kdf: 'scrypt', ...cost, salt: salt.toString('base64'), hash: key.toString('base64') };
}

export async function verifyPassword(password: string, { N, r, p, salt, hash }: PasswordHash): Promise<boolean> {
  const expected = Buffer.from(hash, 'base64');
  const key = await deriveKey(password, Buffer.from(salt, 'base64'), { N, r, p });
  return key.length === expected.length && timingSafeEqual(key, expected);
}

export const parsePasswordHash = (text: string): PasswordHash => hashSchema.parse(JSON.parse(text));

const deriveKey = (password: string, salt: Buffer, options: ScryptOptions): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, keyBytes, { ...options, maxmem: maxMemoryBytes }, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
