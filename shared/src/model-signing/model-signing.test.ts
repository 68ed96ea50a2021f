import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isWeftError } from '../errors/weft-error.ts';
import { sha256 } from '../hash.ts';
import { createIdentity, toFederationId } from '../identity.ts';
import {
  encodeLeaf,
  formatCheckpoint,
  formatNote,
  formatProof,
  logOrigin,
  LogTree,
  parseProof,
  signNote,
  verifierKey,
} from '../log/index.ts';
import { leafHash } from '../merkle-tree.ts';
import { parseBundle, signFiles, verifyModel } from './index.ts';

const { identity } = createIdentity(Buffer.alloc(32, 7));
const other = createIdentity(Buffer.alloc(32, 8)).identity;
const adapterSha256 = sha256('weights');
const files = [
  { name: 'adapter_model.safetensors', sha256: adapterSha256 },
  { name: 'adapter_config.json', sha256: sha256('config') },
];
const here = new Map(files.map(({ name, sha256: hash }) => [name, hash]));
const runId = `r_${'01'.repeat(16)}`;

/** A log of eleven leaves whose eighth is the result of this adapter. */
function logged(hash = adapterSha256, signer = identity) {
  const of = (adapterHash: string): Uint8Array =>
    encodeLeaf('result', {
      at: 1n,
      runId: Buffer.alloc(16, 1),
      round: 3,
      previousAdapter: Buffer.alloc(32),
      adapterHash: Buffer.from(adapterHash, 'hex'),
      updates: 3,
      updateRoot: Buffer.alloc(32),
      gate: 0,
      weightSum: 3n,
      nextClipNorm: 0n,
    });
  const tree = new LogTree();
  for (let at = 0; at < 11; at++) tree.append(leafHash(of(at === 7 ? hash : sha256(String(at)))));
  const origin = logOrigin(toFederationId(signer.publicKey));
  const note = signNote(
    formatCheckpoint({ origin, ...tree.head(), extensions: [] }),
    verifierKey(origin, signer.publicKey),
    (text) => signer.sign(text),
  );
  return {
    entry: Buffer.from(of(hash)).toString('base64'),
    proof: formatProof(7, tree.inclusionProof(7), formatNote(note)),
  };
}

const run = { runId, specSha256: sha256('spec'), baseModelSha256: sha256('base'), adapterSha256, result: logged() };
const signed = signFiles({ name: 'languages', files, run }, identity);
const verdicts = (text: string, options: Partial<Parameters<typeof verifyModel>[0]> = {}) => [
  ...verifyModel({ bundle: parseBundle(Buffer.from(text)), files: here, publicKey: identity.publicKey, ...options }),
];
const failures = (...args: Parameters<typeof verdicts>) =>
  verdicts(...args)
    .filter(({ verdict }) => verdict === 'fails')
    .map(({ claim }) => claim);

describe('a signed statement', () => {
  it('holds for the files that were signed, and for the leaf that brought them', () => {
    expect(verdicts(signed).map(({ verdict }) => verdict)).toEqual(['holds', 'holds', 'holds', 'holds', 'holds']);
    expect(verdicts(signed).at(-1)).toMatchObject({ entry: 7, claim: expect.stringContaining('11 entries') as string });
    expect(verdicts(signed, { publicKey: undefined })[1]).toMatchObject({ verdict: 'not checked' });
  });

  it('names the file that differs, is missing or was not signed', () => {
    const changed = new Map([
      ['adapter_config.json', sha256('another')],
      ['pickle.bin', sha256('more')],
    ]);
    const found = failures(signed, { files: changed });
    expect(found).toHaveLength(3);
    expect(found[0]).toMatch(/^adapter_config\.json differs/);
    expect(found[1]).toBe('adapter_model.safetensors is missing');
    expect(found[2]).toBe('pickle.bin is here and was not signed');
  });

  it('says nothing of files behind a signature of another key', () => {
    expect(verdicts(signed, { publicKey: other.publicKey })).toEqual([
      expect.objectContaining({ verdict: 'fails', claim: expect.stringContaining('is not signed by') as string }),
    ]);
    const { dsseEnvelope, ...rest } = JSON.parse(signed) as { dsseEnvelope: { payload: string } };
    const payload = Buffer.from(dsseEnvelope.payload, 'base64')
      .toString()
      .replaceAll(runId, `r_${'02'.repeat(16)}`);
    const forged = { ...rest, dsseEnvelope: { ...dsseEnvelope, payload: Buffer.from(payload).toString('base64') } };
    expect(failures(JSON.stringify(forged))).toHaveLength(1);
  });

  it('refutes a signer whose own log does not hold what he says', () => {
    const resign = (change: object) => failures(signFiles({ name: 'x', files, run: { ...run, ...change } }, identity));
    expect(resign({ result: logged(sha256('another')) })).toEqual([expect.stringContaining('another leaf')]);
    expect(resign({ result: logged(adapterSha256, other) })).toEqual([expect.stringContaining('is not signed by')]);
    const result = logged();
    const misplaced = { ...result, proof: result.proof.replace('index 7', 'index 6') };
    expect(resign({ result: misplaced })).toEqual([expect.stringContaining('does not lead')]);
    expect(resign({ adapterSha256: sha256('another') })).toEqual([expect.stringContaining('lists')]);
    expect(resign({ result: { ...result, proof: 'none' } })).toHaveLength(1);
  });

  it('is not read where the list of files and the digest of the whole disagree', () => {
    const { dsseEnvelope, ...rest } = JSON.parse(signed) as { dsseEnvelope: { payload: string } };
    const statement = Buffer.from(dsseEnvelope.payload, 'base64').toString();
    const refused = (text: string) => {
      const payload = Buffer.from(text).toString('base64');
      expect(() =>
        parseBundle(Buffer.from(JSON.stringify({ ...rest, dsseEnvelope: { ...dsseEnvelope, payload } }))),
      ).toThrow(expect.toSatisfy((error) => isWeftError(error, 'WEFT_STATEMENT_MALFORMED')));
    };
    refused(statement.replace(`"digest":"${adapterSha256}"`, `"digest":"${sha256('another')}"`));
    refused(statement.replace('"name":"adapter_config.json"', '"name":"../adapter_config.json"'));
    refused(statement.replace('signature/v1.0', 'signature/v2.0'));
  });
});

/** Any bytes, and a good file with bytes changed, cut off or put twice. */
const mutations = (good: string) =>
  fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc.json().map((text) => Buffer.from(text)),
    fc
      .tuple(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length - 1), fc.nat(40))
      .map(([at, value, from, size]) => {
        const bytes = Buffer.from(good);
        bytes[at] = value;
        return Buffer.concat([bytes.subarray(0, from), bytes.subarray(Math.max(0, from - size))]);
      }),
  );

describe('any bytes', () => {
  it('are a bundle whose signature can be asked for, or a catalogued error', () => {
    fc.assert(
      fc.property(mutations(signed), (bytes) => {
        try {
          const bundle = parseBundle(bytes);
          for (const { verdict } of verifyModel({ bundle, files: here, publicKey: identity.publicKey }))
            if (verdict === 'holds') expect(bundle.isSignedBy(identity.publicKey)).toBe(true);
        } catch (error) {
          expect(isWeftError(error, 'WEFT_STATEMENT_MALFORMED')).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('are a payload that says something, or none', () => {
    const { dsseEnvelope, ...rest } = JSON.parse(signed) as { dsseEnvelope: { payload: string } };
    const statement = Buffer.from(dsseEnvelope.payload, 'base64').toString();
    fc.assert(
      fc.property(mutations(statement), (bytes) => {
        const payload = Buffer.from(bytes).toString('base64');
        try {
          parseBundle(Buffer.from(JSON.stringify({ ...rest, dsseEnvelope: { ...dsseEnvelope, payload } })));
        } catch (error) {
          expect(isWeftError(error, 'WEFT_STATEMENT_MALFORMED')).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('are a proof of inclusion or a catalogued error', () => {
    const { proof } = logged();
    const { index, hashes, note } = parseProof(Buffer.from(proof));
    expect(formatProof(index, hashes, formatNote(note))).toBe(proof);
    expect(parseProof(Buffer.from(proof.replace('\n', '\nextra AAAA\n'))).index).toBe(7);
    fc.assert(
      fc.property(mutations(proof), (bytes) => {
        try {
          parseProof(bytes);
        } catch (error) {
          expect(isWeftError(error, 'WEFT_LOG_MALFORMED')).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });
});
