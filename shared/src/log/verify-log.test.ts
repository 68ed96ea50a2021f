import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { logFilesOf, logKeyOf } from '../../test/log/built-log.ts';
import { createIdentity } from '../identity.ts';
import { encodeLeaf, floatBits } from './leaves.ts';
import { cosignatureOf, formatNote, formatVerifierKey, parseNote, verifierKey, withSignature } from './signed-note.ts';
import { bundlePath, encodeBundle } from './tiles.ts';
import { type Finding } from './verify-leaves.ts';
import { verifyLog, type VerifyOptions } from './verify-log.ts';

const hash = (byte: number): Uint8Array => Buffer.alloc(32, byte);
const runId = Buffer.alloc(16, 9);
const nodes = 3;

const noGate = { gateData: hash(0), gateIncrease: 0n };
const aGate = { gateData: hash(30), gateIncrease: floatBits(0.02) };
const offer = (round: number, adapter: Uint8Array, mode = 1, gate = noGate): Uint8Array => {
  const hashes = { specHash: hash(1), baseHash: hash(2), layoutHash: hash(3), adapterHash: adapter };
  return encodeLeaf('offer', { at: 5n, runId, round, ...hashes, factor: 2, mode, ...gate });
};
const roster = (round: number, members = nodes): Uint8Array =>
  encodeLeaf('roster', { at: 5n, runId, round, members, memberRoot: hash(4), advertRoot: hash(5) });
const cut = (round: number, cutHash = hash(6)): Uint8Array =>
  encodeLeaf('cut', { at: 5n, runId, round, cutHash, inputRoot: hash(7), surviving: 3, dropped: 0 });
const open = (round: number, cutHash = hash(6)): Uint8Array =>
  encodeLeaf('open', { at: 5n, runId, round, cutHash, acknowledgements: 3 });
const result = (
  round: number,
  previousAdapter: Uint8Array,
  adapterHash: Uint8Array,
  updates = 3,
  gate = 0,
  nextClipNorm = 0,
): Uint8Array =>
  encodeLeaf('result', {
    gate,
    nextClipNorm: nextClipNorm === 0 ? 0n : floatBits(nextClipNorm),
    at: 5n,
    runId,
    round,
    previousAdapter,
    adapterHash,
    updates,
    updateRoot: hash(8),
    weightSum: 3n,
  });
/** Over a hundred tokens; the verdict is the right one unless another is given. */
const gate = (round: number, adapterHash: Uint8Array, before: number, after: number, passed?: number): Uint8Array =>
  encodeLeaf('gate', {
    at: 5n,
    runId,
    round,
    adapterHash,
    lossSumBefore: floatBits(before),
    lossSumAfter: floatBits(after),
    tokens: 100n,
    passed: passed ?? (after <= before * 1.02 ? 1 : 0),
  });
const abort = (round: number): Uint8Array => encodeLeaf('abort', { at: 5n, runId, round, code: Buffer.from('LATE') });
const secureRound = (round: number, from: Uint8Array, to: Uint8Array, nextClipNorm = 0): Uint8Array[] => [
  offer(round, from),
  roster(round),
  cut(round),
  open(round),
  result(round, from, to, 3, 0, nextClipNorm),
];
const honest = (): Uint8Array[] => [
  ...Array.from({ length: nodes }, (_, node) =>
    encodeLeaf('enrol', { at: 1n, node: hash(100 + node), organisation: hash(50 + (node % 2)) }),
  ),
  ...secureRound(0, hash(20), hash(21)),
  offer(1, hash(21)),
  abort(1),
  ...secureRound(2, hash(21), hash(22)),
];
const last = Buffer.from(hash(22)).toString('hex');

const { identity } = createIdentity();
const key = logKeyOf(identity);
const origin = key.name;

const filesOf = (entries: readonly Uint8Array[], signer = identity): Map<string, Uint8Array> =>
  logFilesOf(entries, identity, signer);

let files: Map<string, Uint8Array>;
beforeEach(() => {
  files = filesOf(honest());
});

async function verify(options: Partial<VerifyOptions> = {}): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const finding of verifyLog({ read: async (path) => files.get(path), ...options })) findings.push(finding);
  return findings;
}
const faults = async (options: Partial<VerifyOptions> = {}) =>
  (await verify(options))
    .filter(({ verdict }) => verdict === 'fails')
    .map(({ claim, entry, party }) => ({ claim, entry, party }));
const coordinator = 'the coordinator';
const server = 'whoever keeps or serves these files';

describe('an honest log', () => {
  it('holds, and what was not looked at is not said to hold', async () => {
    const findings = await verify({ key, adapterSha256: last, runId: `r_${runId.toString('hex')}` });
    expect(findings.filter(({ verdict }) => verdict === 'fails')).toEqual([]);
    const claims = (verdict: Finding['verdict']) =>
      findings.filter((f) => f.verdict === verdict).map(({ claim }) => claim);
    expect(claims('holds').some((claim) => claim.endsWith(`end in adapter ${last}`))).toBe(true);
    expect(claims('holds')).toContain(`adapter ${last} is the result of round 3`);
    expect(claims('warning')).toEqual([expect.stringContaining('0 organisations cosigned the checkpoint of')]);
    expect(claims('not checked')).toHaveLength(4);
    for (const claim of claims('not checked')) expect(claim).toMatch(/: no access$/);
  });

  it('takes an enrolled node again in the name of an organisation that signed for it since', async () => {
    const signed = encodeLeaf('enrol', { at: 1n, node: hash(100), organisation: hash(52) });
    files = filesOf(honest().toSpliced(3, 0, signed));
    const findings = await verify({ key });
    expect(findings.filter(({ verdict }) => verdict === 'fails')).toEqual([]);
    expect(findings.map(({ claim }) => claim)).toContainEqual(
      expect.stringContaining('that 3 of them are in the name of 3 organisations'),
    );
  });

  it('says how many survivors are in no sum where a shard was left out', async () => {
    const enrolled = Array.from({ length: 130 }, (_, k) =>
      encodeLeaf('enrol', { at: 1n, node: Buffer.alloc(32, `node ${k}`), organisation: hash(0) }),
    );
    const survivors = encodeLeaf('cut', {
      at: 5n,
      runId,
      round: 0,
      cutHash: hash(6),
      inputRoot: hash(7),
      surviving: 130,
      dropped: 0,
    });
    const round = [offer(0, hash(20)), roster(0, 130), survivors, open(0)];
    const warnings = async (updates: number): Promise<string[]> => {
      files = filesOf([...enrolled, ...round, result(0, hash(20), hash(21), updates)]);
      const findings = await verify({ key });
      expect(findings.filter(({ verdict }) => verdict === 'fails')).toEqual([]);
      return findings.flatMap(({ verdict, claim }) => (verdict === 'warning' ? claim : []));
    };
    expect(await warnings(65)).toContainEqual(expect.stringMatching(/^65 of the 130 survivors of round 1 are not in/));
    expect(await warnings(130)).not.toContainEqual(expect.stringContaining('not in its sum'));
  });

  it('says so when it took the key from beside the log', async () => {
    const unchecked = (await verify()).filter(({ verdict }) => verdict === 'not checked');
    expect(unchecked[0]!.claim).toContain('--key');
  });

  it('counts the organisations that cosigned', async () => {
    const witness = createIdentity().identity;
    const witnessKey = verifierKey('north.example', witness.publicKey, 'cosignature');
    const own = parseNote(files.get('checkpoint')!);
    const note = withSignature(
      own,
      witnessKey,
      cosignatureOf(own.text, (bytes) => witness.sign(bytes), 7n),
    );
    files.set('checkpoint', Buffer.from(formatNote(note)));
    const findings = await verify({ key, cosigners: [witnessKey] });
    expect(findings).toContainEqual({ verdict: 'holds', claim: '1 of 1 named keys cosigned the checkpoint' });
  });
});

describe('damage is found and named', () => {
  it('every flipped byte of every file', async () => {
    for (const [path, bytes] of files) {
      const places = path === 'vkey' ? bytes.length - 1 : bytes.length;
      for (let at = 0; at < places; at += path.startsWith('tile') ? 5 : 1) {
        const broken = Uint8Array.from(bytes);
        broken[at]! ^= 4;
        files.set(path, broken);
        const [first] = await faults();
        expect(first, `${path} at ${at}`).toBeDefined();
        if (path.startsWith('tile/0')) expect(first!.entry).toBe(Math.floor(at / 32));
      }
      files.set(path, bytes);
    }
  });

  it('two entries that changed places', async () => {
    const entries = honest();
    const swapped = entries.with(1, entries[2]!).with(2, entries[1]!);
    files.set(bundlePath({ index: 0, width: entries.length }), encodeBundle(swapped));
    const found = await faults({ key });
    expect(found.map(({ entry, party }) => [entry, party])).toEqual([
      [1, server],
      [2, server],
      [undefined, server],
    ]);
  });

  it('a missing entry, a missing file', async () => {
    const entries = honest();
    const path = bundlePath({ index: 0, width: entries.length });
    files.set(path, encodeBundle(entries.slice(0, -1)));
    expect((await faults())[0]).toMatchObject({ entry: 0, party: server, claim: expect.stringContaining(path) });
    for (const lost of [...files.keys()].filter((name) => name !== 'vkey')) {
      files = filesOf(entries);
      files.delete(lost);
      expect((await faults())[0]!.claim).toMatch(/missing|there is no checkpoint/);
    }
  });

  it('a checkpoint of another tree, with a signature that holds', async () => {
    files.set('checkpoint', filesOf(honest().with(0, abort(7))).get('checkpoint')!);
    expect(await faults({ key })).toEqual([
      { claim: 'the entries do not make the root that the checkpoint signs', entry: undefined, party: coordinator },
    ]);
  });

  it('a fork: the checkpoint that was seen before is no start of this log', async () => {
    const since = filesOf(
      honest()
        .slice(0, 8)
        .with(2, encodeLeaf('enrol', { at: 1n, node: hash(99), organisation: hash(0) })),
    ).get('checkpoint')!;
    expect(await faults({ key, since })).toEqual([
      { claim: expect.stringContaining('two histories are signed'), entry: undefined, party: coordinator },
    ]);
    const start = filesOf(honest().slice(0, 8)).get('checkpoint')!;
    expect(await faults({ key, since: start })).toEqual([]);
  });

  it('another signer, under the same name or under its own', async () => {
    const stranger = createIdentity().identity;
    files = filesOf(honest(), stranger);
    expect((await faults({ key }))[0]).toMatchObject({
      party: server,
      claim: expect.stringContaining('not signed by'),
    });
    const forged = verifierKey(origin, stranger.publicKey);
    files.set('vkey', Buffer.from(formatVerifierKey(forged)));
    expect((await faults())[0]!.claim).toContain('another federation');
  });

  it('an adapter that is no result', async () => {
    const adapterSha256 = '0'.repeat(64);
    expect(await faults({ key, adapterSha256 })).toEqual([
      { claim: `adapter ${adapterSha256} is the result of no round`, entry: undefined, party: 'whoever handed it out' },
    ]);
    expect((await faults({ key, runId: 'r_0' }))[0]!.claim).toBe('the log knows no run r_0');
  });

  // A coordinator that signs what it likes: all files agree, the history does not.
  it.each<[string, (entries: Uint8Array[]) => Uint8Array[], number]>([
    ['a result from another adapter than was offered', (e) => e.with(7, result(0, hash(77), hash(21))), 7],
    ['a round that begins with another adapter than the result', (e) => e.with(7, result(0, hash(20), hash(78))), 8],
    ['more updates than members that survived', (e) => e.with(7, result(0, hash(20), hash(21), 4)), 7],
    ['fewer updates than members of one session that survived', (e) => e.with(7, result(0, hash(20), hash(21), 2)), 7],
    ['a cohort larger than the federation', (e) => e.with(4, roster(0, 9)), 4],
    ['two cuts of one round', (e) => e.toSpliced(6, 0, cut(0, hash(66))), 6],
    ['another cut opened than logged', (e) => e.with(6, open(0, hash(66))), 6],
    ['a sum that nothing opened', (e) => e.toSpliced(6, 1), 6],
    ['a round without a cohort', (e) => e.toSpliced(4, 1), 4],
    ['a round that begins again', (e) => e.with(8, offer(0, hash(21))), 8],
    ['a round that begins before the last one ended', (e) => e.toSpliced(9, 1), 9],
    ['a run that changes from secure to plain', (e) => e.with(8, offer(1, hash(21), 0)), 8],
    ['a node enrolled twice', (e) => e.with(1, e[0]!), 1],
    [
      'a node enrolled again in the name of nobody',
      (e) => e.toSpliced(3, 0, encodeLeaf('enrol', { at: 1n, node: hash(100), organisation: hash(0) })),
      3,
    ],
    [
      'a node revoked that never enrolled',
      (e) => e.toSpliced(3, 0, encodeLeaf('revoke', { at: 1n, node: hash(1) })),
      3,
    ],
    ['what is no leaf', (e) => e.with(3, Buffer.from('leaf')), 3],
  ])('%s', async (_, change, entry) => {
    files = filesOf(change(honest()));
    expect((await faults({ key }))[0]).toMatchObject({ entry, party: coordinator });
  });

  // A run with a gate: its first sum was refused, its second one passed.
  const gated = (...last: Uint8Array[]): Uint8Array[] => [
    ...honest().slice(0, 3),
    offer(0, hash(20), 0, aGate),
    roster(0),
    gate(0, hash(21), 300, 310),
    abort(0),
    offer(1, hash(20), 0, aGate),
    roster(1),
    ...(last.length > 0 ? last : [gate(1, hash(22), 300, 306), result(1, hash(20), hash(22), 3, 1)]),
  ];

  it('a verdict of the gate that its numbers give holds', async () => {
    files = filesOf(gated());
    const findings = await verify({ key });
    expect(findings.filter(({ verdict }) => verdict === 'fails')).toEqual([]);
    expect(findings.map(({ claim }) => claim)).toContainEqual(
      expect.stringContaining('(LATE); the adapter stayed; the gate’s loss went from 3.0000 to 3.1000'),
    );
    files = filesOf(honest());
    expect((await verify({ key })).filter(({ claim }) => claim.endsWith('; no gate'))).toHaveLength(2);
  });

  it.each<[string, Uint8Array[], number]>([
    ['a result of a run with a gate that no gate saw', [result(1, hash(20), hash(22), 3, 1)], 9],
    ['one that does not even say so', [result(1, hash(20), hash(22))], 9],
    ['a result that the gate refused', [gate(1, hash(22), 300, 310), result(1, hash(20), hash(22), 3, 1)], 10],
    ['another adapter than the gate saw', [gate(1, hash(23), 300, 306), result(1, hash(20), hash(22), 3, 1)], 10],
    ['a pass that the numbers do not give', [gate(1, hash(22), 300, 310, 1), result(1, hash(20), hash(22), 3, 1)], 9],
    ['a pass with a loss that is no number', [gate(1, hash(22), 300, Number.NaN, 1)], 9],
    ['a refusal that the numbers do not give', [gate(1, hash(22), 300, 306, 0)], 9],
    ['two verdicts in a round', [gate(1, hash(22), 300, 310), gate(1, hash(22), 300, 306)], 10],
  ])('the gate: %s', async (_, leaves, entry) => {
    files = filesOf(gated(...leaves));
    expect((await faults({ key }))[0]).toMatchObject({ entry, party: coordinator });
  });

  it('the gate: a run that takes it away, or that never had it', async () => {
    files = filesOf(gated().with(7, offer(1, hash(20), 0)));
    expect((await faults({ key }))[0]).toMatchObject({ entry: 7, claim: expect.stringContaining('gateData') });
    files = filesOf(gated().with(7, offer(1, hash(20), 0, { ...aGate, gateIncrease: floatBits(9) })));
    expect((await faults({ key }))[0]).toMatchObject({ entry: 7, claim: expect.stringContaining('gateIncrease') });
    files = filesOf(honest().toSpliced(7, 0, gate(0, hash(21), 300, 300)));
    expect((await faults({ key }))[0]).toMatchObject({ entry: 7, party: coordinator });
  });

  const adapting = (first: number, second: number): Uint8Array[] => [
    ...honest().slice(0, 3),
    ...secureRound(0, hash(20), hash(21), first),
    ...secureRound(1, hash(21), hash(22), second),
  ];
  it('a clip norm that moves as far as a round moves it', async () => {
    files = filesOf(adapting(2, 2 * Math.exp(-0.1)));
    const findings = await verify({ key });
    expect(findings.filter(({ verdict }) => verdict === 'fails')).toEqual([]);
    expect(findings.filter(({ claim }) => claim.endsWith('; clipped to 2 from here on'))).toHaveLength(1);
  });

  it.each<[string, number, number, number]>([
    ['further than a round moves it', 2, 2 * Math.exp(0.11), 12],
    ['to nothing', 2, 0, 12],
    ['from nothing', 0, 2, 12],
    ['below zero', -2, -2, 7],
    ['beyond all bounds', Infinity, 2, 7],
  ])('a clip norm that moves %s', async (_, first, second, entry) => {
    files = filesOf(adapting(first, second));
    expect((await faults({ key }))[0]).toMatchObject({ entry, claim: expect.stringContaining('clip norm') });
  });

  const back = (from: number, to: number, nextClipNorm = 0): Uint8Array =>
    encodeLeaf('rollback', {
      at: 5n,
      runId,
      round: 2,
      previousAdapter: hash(from),
      adapterHash: hash(to),
      nextClipNorm: nextClipNorm === 0 ? 0n : floatBits(nextClipNorm),
    });

  it('a roll-back leaves the clip norm where it is', async () => {
    files = filesOf([...adapting(2, 1.9), back(22, 21, 1.9)]);
    expect(await faults({ key })).toEqual([]);
    files = filesOf([...adapting(2, 1.9), back(22, 21, 2)]);
    expect((await faults({ key }))[0]).toMatchObject({ entry: 13, claim: expect.stringContaining('clip norm 2,') });
  });

  it('a run that was rolled back goes on from there, and what lies behind is said to be withdrawn', async () => {
    files = filesOf([...honest(), back(22, 20), ...secureRound(3, hash(20), hash(23)), back(23, 22), back(22, 23)]);
    const findings = await verify({ key, adapterSha256: last });
    expect(findings.filter(({ verdict }) => verdict === 'fails')).toEqual([]);
    const claims = findings.map(({ claim }) => claim);
    expect(claims).toContainEqual(expect.stringContaining('or where one of 3 roll-backs lead, end in adapter 1717'));
    expect(claims).toContain(`adapter ${last} was withdrawn: its run was rolled back behind it`);
    const first = await verify({ key, adapterSha256: Buffer.from(hash(23)).toString('hex') });
    expect(first.map(({ claim }) => claim)).not.toContainEqual(expect.stringContaining('withdrawn'));
  });

  it.each<[string, (entries: Uint8Array[]) => Uint8Array[], number]>([
    ['to an adapter that the run never had', (e) => [...e, back(22, 77)], 15],
    ['from another adapter than its own', (e) => [...e, back(21, 20)], 15],
    ['in the middle of a round', (e) => e.toSpliced(9, 0, back(21, 20)), 9],
    ['before it began', (e) => e.toSpliced(3, 0, back(21, 20)), 3],
    ['without a word: the next round begins with the older adapter', (e) => [...e, offer(3, hash(21))], 15],
    ['and goes on as if it had not been', (e) => [...e, back(22, 21), offer(3, hash(22))], 16],
  ])('a run rolled back %s', async (_, change, entry) => {
    files = filesOf(change(honest()));
    expect((await faults({ key }))[0]).toMatchObject({ entry, party: coordinator });
  });

  it('answers any files with findings', async () => {
    const paths = [...files.keys()];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), fc.uint8Array({ maxLength: 200 }), async (path, bytes) => {
        files = filesOf(honest()).set(path, bytes);
        expect((await faults({})).length).toBeGreaterThan(0);
      }),
      { numRuns: 60 },
    );
  });
});
