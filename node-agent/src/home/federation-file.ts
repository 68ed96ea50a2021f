import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isFederationId, isNodeId, WeftError } from '@weft/shared';
import { writeFileAtomically } from '@weft/trainer';
import { z } from 'zod';

const base64 = (bytes: { min: number; max: number }) =>
  z
    .string()
    .regex(/^[A-Za-z0-9+/]*=*$/)
    .transform((text): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64')))
    .refine(({ length }) => length >= bytes.min && length <= bytes.max, 'has a wrong length');

const certificateSchema = z.strictObject({
  der: base64({ min: 1, max: 16_384 }),
  /** 0 for the invite's own; a renewal must be later than every one before it. */
  notBeforeMs: z.number().int().min(0),
});

const federationSchema = z.strictObject({
  version: z.literal(1),
  /** host:port */
  address: z.string().min(1),
  federationId: z.string().refine(isFederationId, 'is not a federation id'),
  federationName: z.string(),
  /** Ed25519, from the invite: everything that the coordinator says is checked against it. */
  coordinatorKey: base64({ min: 32, max: 32 }),
  /** What TLS accepts, oldest first. */
  certificates: z.array(certificateSchema).min(1).max(8),
  nodeId: z.string().refine(isNodeId, 'is not a node id'),
  nodeName: z.string(),
  organisation: z.string(),
});

/** What an invite pinned: whom this node speaks to, and how it knows them again. */
export type Federation = z.infer<typeof federationSchema>;
export type PinnedCertificate = Federation['certificates'][number];

/** @throws WEFT_NODE_NOT_JOINED, WEFT_NODE_HOME_DAMAGED */
export async function readFederation(home: string): Promise<Federation> {
  const federation = await findFederation(home);
  if (federation === undefined)
    throw new WeftError('WEFT_NODE_NOT_JOINED', `the home ${home} belongs to no federation yet`);
  return federation;
}

/** @throws WEFT_NODE_HOME_DAMAGED */
export async function findFederation(home: string): Promise<Federation | undefined> {
  const text = await readFile(fileIn(home), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const parsed = federationSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new WeftError('WEFT_NODE_HOME_DAMAGED', `federation.json does not hold what it should: ${problems.join('; ')}`);
}

export async function writeFederation(home: string, federation: Federation): Promise<void> {
  const json = {
    ...federation,
    coordinatorKey: toBase64(federation.coordinatorKey),
    certificates: federation.certificates.map(({ der, notBeforeMs }) => ({ der: toBase64(der), notBeforeMs })),
  };
  await writeFileAtomically(fileIn(home), async (file) => {
    await file.chmod(0o600);
    await file.writeFile(`${JSON.stringify(json, undefined, 2)}\n`);
  });
}

const fileIn = (home: string): string => join(home, 'federation.json');

const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
