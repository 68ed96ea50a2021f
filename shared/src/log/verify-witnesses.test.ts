import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { checkpointOf, logFilesOf, logKeyOf } from '../../test/log/built-log.ts';
import { endorse } from '../endorsement.ts';
import { isWeftError } from '../errors/weft-error.ts';
import { createIdentity, toFederationId, type Identity } from '../identity.ts';
import { encodeLeaf, enrolledName } from './leaves.ts';
import { cosignatureOf, formatNote, withSignature, type SignedNote } from './signed-note.ts';
import type { Finding } from './verify-leaves.ts';
import { verifyLog, type VerifyOptions } from './verify-log.ts';
import { formatWitnesses, parseWitnesses, signWitnessKey, witnessKeyOf, type Witness } from './witness.ts';

const coordinator = createIdentity().identity;
const federationId = toFederationId(coordinator.publicKey);
const key = logKeyOf(coordinator);
const [north, south] = [createIdentity().identity, createIdentity().identity];
const hex = ({ publicKey }: Identity): string => Buffer.from(publicKey).toString('hex');

/** A node of an organisation, or of none, with a key to cosign with. */
function createWitness(organisation?: Identity) {
  const node = createIdentity().identity;
  const cosigner = createIdentity().identity;
  const witness: Witness = {
    key: witnessKeyOf(node.publicKey, cosigner.publicKey),
    nodeKey: node.publicKey,
    nodeSignature: signWitnessKey(node, federationId, cosigner.publicKey),
    endorsement: organisation ? endorse(organisation, federationId, node.publicKey) : new Uint8Array(),
  };
  const enrol = encodeLeaf('enrol', {
    at: 1n,
    node: enrolledName(node.publicKey),
    organisation: organisation?.publicKey ?? new Uint8Array(32),
  });
  const revoke = encodeLeaf('revoke', { at: 2n, node: enrolledName(node.publicKey) });
  const cosign = (note: SignedNote): SignedNote =>
    withSignature(
      note,
      witness.key,
      cosignatureOf(note.text, (text) => cosigner.sign(text), 7n),
    );
  return { witness, enrol, revoke, cosign };
}
const nodes = [createWitness(north), createWitness(north), createWitness(south), createWitness()] as const;
const entries = nodes.map(({ enrol }) => enrol);

let files: Map<string, Uint8Array>;
const put = (name: string, text: string): void => void files.set(name, Buffer.from(text));
const cosignedBy = (history: readonly Uint8Array[], ...who: readonly (typeof nodes)[number][]): string =>
  formatNote(who.reduce((note, { cosign }) => cosign(note), checkpointOf(history, coordinator)));
beforeEach(() => {
  files = logFilesOf(entries, coordinator);
  put('witnesses', formatWitnesses(nodes.map(({ witness }) => witness)));
});

async function verify(options: Partial<VerifyOptions> = {}): Promise<string[]> {
  const findings: Finding[] = [];
  for await (const finding of verifyLog({ read: async (path) => files.get(path), key, ...options }))
    findings.push(finding);
  return findings.map(({ verdict, claim }) => `${verdict}: ${claim}`).filter((line) => /cosign|named twice/.test(line));
}
const rests = 'that all were shown the same log rests on the coordinator’s word';

describe('witnesses of a log', () => {
  it('are counted by organisation, and named', async () => {
    put('checkpoint', cosignedBy(entries, ...nodes));
    const [first, unknown] = await verify();
    expect(first).toMatch(/^holds: 2 organisations cosigned the checkpoint of 4 entries: /);
    expect(first).toContain(hex(north));
    expect(first).toContain(hex(south));
    expect(unknown).toBe('warning: 1 more cosigned in the name of no organisation that the log knows');
    expect((await verify({ organisations: [hex(south)] }))[0]).toMatch(
      /^holds: 1 organisation of the 1 that you trust cosigned/,
    );
    expect((await verify({ organisations: [hex(coordinator)] }))[0]).toBe(
      `warning: 0 organisations of the 1 that you trust cosigned the checkpoint of 4 entries: ${rests}`,
    );
  });

  it('that cosigned an older checkpoint count for the entries that it has', async () => {
    put('cosigned', cosignedBy(entries.slice(0, 3), nodes[0], nodes[2]));
    put('checkpoint', cosignedBy(entries, nodes[1]));
    expect((await verify())[0]).toMatch(/^holds: 2 organisations cosigned the first 3 of 4 entries: /);
  });

  it('do not count where a link of the chain is missing', async () => {
    const [ana] = nodes;
    const counted = async (change: Partial<Witness>, history = entries): Promise<string | undefined> => {
      files = logFilesOf(history, coordinator);
      put('witnesses', formatWitnesses([{ ...ana.witness, ...change }]));
      put('checkpoint', cosignedBy(history, ana));
      return (await verify()).find((line) => line.includes('organisation'));
    };
    expect(await counted({})).toMatch(/^holds: 1 organisation cosigned/);
    const stranger = createIdentity().identity;
    const none = new RegExp(`^warning: 0 organisations cosigned .*${rests}$`);
    // Another federation's word, a word for another node, a key that another node signed.
    expect(await counted({ endorsement: endorse(north, 'f_0', ana.witness.nodeKey) })).toMatch(none);
    expect(await counted({ endorsement: nodes[1].witness.endorsement })).toMatch(none);
    expect(await counted({ nodeSignature: signWitnessKey(stranger, federationId, ana.witness.key.publicKey) })).toMatch(
      none,
    );
    expect(await counted({ nodeKey: stranger.publicKey })).toMatch(none);
    // Not enrolled in this log, or revoked in it.
    expect(await counted({}, entries.slice(1))).toMatch(none);
    expect(await counted({}, [...entries, ana.revoke])).toMatch(none);
  });

  it('whose signature does not hold are a fault, and so is a cosigned checkpoint of another history', async () => {
    const forged = withSignature(checkpointOf(entries, coordinator), nodes[0].witness.key, new Uint8Array(72));
    put('checkpoint', formatNote(forged));
    expect((await verify())[0]).toMatch(/^fails: the cosignature of weft-witness\/n_/);
    files = logFilesOf(entries, coordinator);
    put('cosigned', cosignedBy(entries.toReversed().slice(1), nodes[0]));
    expect((await verify())[0]).toMatch(/^fails: .*two histories are signed$/);
    put('cosigned', formatNote(checkpointOf(entries, coordinator, north)));
    expect((await verify())[0]).toMatch(/^fails: the cosigned checkpoint beside the log is not signed by its key$/);
  });
});

describe('the list of witnesses', () => {
  it('has one form, and any other bytes are refused', () => {
    const text = formatWitnesses(nodes.map(({ witness }) => witness));
    expect(formatWitnesses(parseWitnesses(Buffer.from(text)))).toBe(text);
    const refused = (bytes: Uint8Array): void => {
      try {
        expect(formatWitnesses(parseWitnesses(bytes))).toBe(Buffer.from(bytes).toString('latin1'));
      } catch (error) {
        expect(isWeftError(error, 'WEFT_LOG_MALFORMED')).toBe(true);
      }
    };
    const [line = ''] = text.split('\n');
    for (const broken of [`${line}\n${line}\n`, line, `${line} -\n`, text.replaceAll('+', ' ')])
      expect(() => parseWitnesses(Buffer.from(broken))).toThrow();
    expect(() => parseWitnesses(new Uint8Array(70_000))).toThrow('70000 bytes');
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), refused));
    fc.assert(
      fc.property(fc.nat(text.length), fc.uint8Array({ maxLength: 4 }), (at, bytes) =>
        refused(Buffer.concat([Buffer.from(text.slice(0, at)), bytes, Buffer.from(text.slice(at + 1))])),
      ),
    );
  });
});
