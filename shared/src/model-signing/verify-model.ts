import { isWeftError } from '../errors/weft-error.ts';
import type { Sha256 } from '../ids.ts';
import { toFederationId } from '../identity.ts';
import { logOrigin } from '../log/checkpoint.ts';
import { decodeLeaf, type Leaf } from '../log/leaves.ts';
import { fromBase64, verifierKey } from '../log/signed-note.ts';
import { checkProof, parseProof } from '../log/tlog-proof.ts';
import type { Finding } from '../log/verify-leaves.ts';
import type { ModelBundle } from './bundle.ts';
import type { RunEvidence } from './statement.ts';

export interface VerifyModelOptions {
  readonly bundle: ModelBundle;
  /** What lies there now: SHA-256 by name. */
  readonly files: ReadonlyMap<string, Sha256>;
  /** Ed25519, 32 bytes, from somewhere else than the bundle; without it the bundle's own is taken, and said to be unchecked. */
  readonly publicKey?: Uint8Array | undefined;
}

const signer = 'whoever signed';
const keeper = 'whoever keeps or handed out these files';

/** @returns one finding a claim; nothing behind a signature that fails */
export function* verifyModel({ bundle, files, publicKey }: VerifyModelOptions): Generator<Finding, void, undefined> {
  const { statement } = bundle;
  const key = publicKey ?? (statement.evidence && Buffer.from(statement.evidence.publicKey, 'hex'));
  if (key === undefined) {
    yield {
      verdict: 'fails',
      claim: 'there is no key to verify the signature with; name it with --key',
      party: keeper,
    };
    return;
  }
  const hex = Buffer.from(key).toString('hex');
  if (!bundle.isSignedBy(key)) {
    yield { verdict: 'fails', claim: `the statement is not signed by ${hex}`, party: keeper };
    return;
  }
  yield { verdict: 'holds', claim: `the statement about ${JSON.stringify(statement.name)} is signed by ${hex}` };
  if (publicKey === undefined)
    yield {
      verdict: 'not checked',
      claim:
        'that this is the key of the signer you mean: it stands in the signature; compare it, or name it with --key',
    };
  yield* compareFiles(statement.files, files);
  const run = statement.evidence?.run;
  if (run !== undefined) yield* checkRun(run, statement.files, key);
}

function* compareFiles(
  signed: readonly { readonly name: string; readonly sha256: Sha256 }[],
  here: ReadonlyMap<string, Sha256>,
): Generator<Finding> {
  const names = new Set(signed.map(({ name }) => name));
  for (const { name, sha256 } of signed) {
    const found = here.get(name);
    if (found === sha256) yield { verdict: 'holds', claim: `${name} is the file that was signed, ${sha256}` };
    else
      yield {
        verdict: 'fails',
        claim: found === undefined ? `${name} is missing` : `${name} differs: signed is ${sha256}, here is ${found}`,
        party: keeper,
      };
  }
  for (const name of here.keys())
    if (!names.has(name)) yield { verdict: 'fails', claim: `${name} is here and was not signed`, party: keeper };
}

function* checkRun(run: RunEvidence, files: readonly { name: string; sha256: Sha256 }[], key: Uint8Array) {
  const { runId, specSha256, baseModelSha256, adapterSha256, result } = run;
  const adapter = files.find(({ name }) => name === 'adapter_model.safetensors');
  if (adapter?.sha256 !== adapterSha256) {
    const claim = `the statement calls ${adapterSha256} the adapter of run ${runId} and lists ${adapter?.sha256 ?? 'none'}`;
    yield { verdict: 'fails', claim, party: signer } as Finding;
    return;
  }
  const said = `run ${runId} (spec ${specSha256}) over base model ${baseModelSha256}`;
  yield { verdict: 'holds', claim: `its signer says that the adapter comes of ${said}`, runId } as Finding;
  if (result === undefined) {
    yield { verdict: 'not checked', claim: 'that the log holds it: no round had ended', runId } as Finding;
    return;
  }
  yield { ...checkResult(run, result, key), runId };
}

/** The leaf says what the statement says, and the signer's own log holds it. */
function checkResult(
  { runId, adapterSha256 }: RunEvidence,
  { entry, proof: text }: NonNullable<RunEvidence['result']>,
  key: Uint8Array,
): Finding {
  try {
    const bytes = fromBase64(entry) ?? Buffer.alloc(0);
    const leaf: Leaf = decodeLeaf(bytes);
    const proof = parseProof(Buffer.from(text));
    const hex = (hash: Uint8Array): string => Buffer.from(hash).toString('hex');
    const isThis =
      leaf.name === 'result' && `r_${hex(leaf.runId)}` === runId && hex(leaf.adapterHash) === adapterSha256;
    const refusal = isThis
      ? checkProof(proof, bytes, verifierKey(logOrigin(toFederationId(key)), key))
      : `entry ${proof.index} is another leaf than the result of this adapter`;
    if (refusal !== undefined) return { verdict: 'fails', claim: refusal, entry: proof.index, party: signer };
    const round = leaf.name === 'result' ? leaf.round : 0;
    return {
      verdict: 'holds',
      claim: `the log of ${proof.checkpoint.size} entries that its checkpoint signs holds it as the result of round ${round + 1}`,
      entry: proof.index,
    };
  } catch (error) {
    if (!isWeftError(error)) throw error;
    return { verdict: 'fails', claim: `the proof that the log holds it: ${error.message}`, party: signer };
  }
}
