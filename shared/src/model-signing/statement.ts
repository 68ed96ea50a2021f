import { createHash } from 'node:crypto';
import { z } from 'zod';
import { isSha256, type Sha256 } from '../ids.ts';

/**
 * in-toto Statement v1 with the predicate of OpenSSF model signing v1.0, as the Python package `model-signing` writes and
 * reads it: one subject (the model's name; SHA-256 over all files' digests, one after the other), and in the predicate
 * how files were hashed and the list of them.
 *
 * What Weft's log adds stands in the predicate too, under a name that is a URI. in-toto lets producers extend any object
 * that way and has consumers ignore what they do not know; model signing v1.0 says the same of its predicate. So one
 * signature covers files and evidence, and other tools see the files alone. A second statement would need a second bundle
 * (a bundle holds one envelope), which can be left out or exchanged; annotations belong to a resource, and model signing
 * v1.0 keeps the files out of the subject, where in-toto has them.
 */
export const statementType = 'https://in-toto.io/Statement/v1';
export const predicateType = 'https://model_signing/signature/v1.0';
export const evidenceName = 'https://weft/evidence/v1';

/** Where a signature lies in a model's folder, as `model_signing` has it. */
export const signatureName = 'model.sig';

/** What stands in a model's folder and is no part of it; `model_signing` leaves out the same. */
export const ignoredPaths = [signatureName, '.git', '.gitattributes', '.github', '.gitignore'] as const;

/** Shards of a large model are a few hundred. */
export const maxFiles = 4096;

export interface ModelFile {
  /** Relative to the model's folder, with slashes; `.` where the model is this one file. */
  readonly name: string;
  readonly sha256: Sha256;
}

/** That an adapter is the result of a round, provable without the coordinator. */
export interface RunEvidence {
  readonly runId: string;
  readonly specSha256: Sha256;
  readonly baseModelSha256: Sha256;
  /** Of adapter_model.safetensors. */
  readonly adapterSha256: Sha256;
  /** The leaf Result that brought it; left out before the first round's end. */
  readonly result?:
    | {
        /** Base64: the leaf's exact bytes. */
        readonly entry: string;
        /** C2SP tlog-proof: its place, the way to the root, and the signed checkpoint. */
        readonly proof: string;
      }
    | undefined;
}

export interface Evidence {
  /** Ed25519, hex. Signed with the rest, and still only the signer's own word. */
  readonly publicKey: string;
  readonly run?: RunEvidence | undefined;
}

export interface ModelStatement {
  readonly name: string;
  readonly files: readonly ModelFile[];
  readonly evidence: Evidence | undefined;
}

/** SHA-256 over the digests, in the order of the list. */
const subjectDigest = (files: readonly ModelFile[]): string => {
  const hash = createHash('sha256');
  for (const { sha256 } of files) hash.update(Buffer.from(sha256, 'hex'));
  return hash.digest('hex');
};

/** By the parts of the path, as `model_signing` sorts. */
const byPath = (a: ModelFile, b: ModelFile): number => {
  const [left, right] = [a.name.split('/').join('\0'), b.name.split('/').join('\0')];
  return left < right ? -1 : 1;
};

/** The bytes that are signed. */
export function statementBytes({ name, files, evidence }: ModelStatement): Uint8Array {
  const sorted = files.toSorted(byPath);
  const statement = {
    _type: statementType,
    subject: [{ name, digest: { sha256: subjectDigest(sorted) } }],
    predicateType,
    predicate: {
      serialization: { method: 'files', hash_type: 'sha256', allow_symlinks: false, ignore_paths: ignoredPaths },
      resources: sorted.map((file) => ({ name: file.name, algorithm: 'sha256', digest: file.sha256 })),
      ...(evidence && { [evidenceName]: evidence }),
    },
  };
  return Buffer.from(JSON.stringify(statement));
}

const hash = z.string().refine(isSha256);
const isRelative = (path: string): boolean =>
  path === '.' || path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');

const evidenceSchema = z.object({
  publicKey: z.string().regex(/^[0-9a-f]{64}$/),
  run: z
    .object({
      runId: z.string().max(100),
      specSha256: hash,
      baseModelSha256: hash,
      adapterSha256: hash,
      result: z.object({ entry: z.string().max(1024), proof: z.string().max(64 * 1024) }).optional(),
    })
    .optional(),
});

/** Fields that are not known are for others: in-toto has them ignored. */
const statementSchema = z.object({
  _type: z.literal(statementType),
  subject: z.tuple([z.object({ name: z.string().max(1024), digest: z.object({ sha256: hash }) })]),
  predicateType: z.literal(predicateType),
  predicate: z.object({
    serialization: z.object({ method: z.literal('files'), hash_type: z.literal('sha256') }),
    resources: z
      .array(z.object({ name: z.string().max(1024).refine(isRelative), algorithm: z.literal('sha256'), digest: hash }))
      .max(maxFiles),
    [evidenceName]: evidenceSchema.optional(),
  }),
});

/** @returns undefined for bytes that are no such statement, or one whose subject is not what its files make */
export function parseStatement(bytes: Uint8Array): ModelStatement | undefined {
  const parsed = statementSchema.safeParse(parseJson(bytes));
  if (!parsed.success) return undefined;
  const { subject, predicate } = parsed.data;
  const files = predicate.resources.map(({ name, digest }) => ({ name, sha256: digest }));
  const isConsistent =
    new Set(files.map(({ name }) => name)).size === files.length && subjectDigest(files) === subject[0].digest.sha256;
  return isConsistent ? { name: subject[0].name, files, evidence: predicate[evidenceName] } : undefined;
}

export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
