import { create } from '@bufbuild/protobuf';
import { UpdateSchema } from '@weft/proto';
import {
  createIdentity,
  endorse,
  hashRunSpec,
  parseRunSpec,
  type secagg,
  secureSizes,
  sha256,
  updateEncoding,
} from '@weft/shared';
import { expect, test } from 'vitest';
import type { Federation } from '../home/federation-file.ts';
import { defaultPolicy } from '../policy/policy.ts';
import type { PendingUpdate } from '../round/pending-updates.ts';
import { knowledgeOf, type KnowledgeOptions } from './knowledge.ts';

const spec = parseRunSpec({
  name: 'run',
  baseModel: { name: 'm', sha256: sha256('model') },
  training: { steps: 1 },
  rounds: 1,
  aggregation: { weighting: 'uniform' },
  cohort: { minimum: 5, maximum: 5 },
  evaluation: { heldOutShare: 0 },
  privacy: { noiseMultiplier: 1 },
});
const values = 100;
const body = create(UpdateSchema, { values: BigInt(values) });
const { identity } = createIdentity(Buffer.alloc(32, 1));
const options: KnowledgeOptions = {
  update: { spec, body, clipNormL2: spec.aggregation.clipNormL2 } as PendingUpdate,
  federation: { coordinatorKey: identity.publicKey, federationId: 'f_1' } as unknown as Federation,
  identity,
  memberKeys: [],
  memberEndorsements: [],
  beganS: 100,
  lastRound: -1,
  checkpoint: { size: 0, root: new Uint8Array(32) },
  policy: defaultPolicy,
};
const knowledge = knowledgeOf(options);

const stepMs = spec.aggregation.secure.stepSeconds * 1000;
const deadlines = { advertMs: stepMs, sharesMs: stepMs, inputMs: stepMs, cutAckMs: stepMs, openingMs: stepMs };
const offerOf = (specHash: string, changes: Partial<secagg.Body<'offer'>> = {}): secagg.Body<'offer'> =>
  ({
    ...updateEncoding(spec, values).offered,
    minMembers: spec.cohort.minimum,
    ...secureSizes(spec.aggregation.secure),
    smallestSurvivors: spec.aggregation.secure.smallestSurvivors,
    maxMembers: spec.cohort.maximum,
    specHash: Buffer.from(specHash, 'hex'),
    deadlines,
    ...changes,
  }) as unknown as secagg.Body<'offer'>;

test('an offer under another spec than the one that was agreed to is refused, though all its numbers are the same', () => {
  expect(knowledge.policy.refusal!(offerOf(hashRunSpec(spec)))).toBeUndefined();
  const { aggregation } = spec;
  const publishing = {
    ...spec,
    aggregation: { ...aggregation, secure: { ...aggregation.secure, publishInputs: true } },
  };
  expect(knowledge.policy.refusal!(offerOf(hashRunSpec(publishing)))).toBe('specHash');
});

test('a ring of another width, length or scale is refused by its name, and so are more members than it was made for', () => {
  const { words, bits, scale, clipNormL2, noiseMultiplier } = updateEncoding(spec, values).offered;
  const others: Partial<secagg.Body<'offer'>>[] = [
    { words: words + 1 },
    { bits: bits - 1 },
    { bits: bits + 1 },
    { scale: scale * 2 },
    { clipNormL2: clipNormL2 * 1.01 },
    { noiseMultiplier: noiseMultiplier / 2 },
    { maxMembers: spec.cohort.maximum + 1 },
  ];
  for (const change of others)
    expect(knowledge.policy.refusal!(offerOf(hashRunSpec(spec), change))).toBe(Object.keys(change)[0]);
  expect(
    knowledge.policy.refusal!(offerOf(hashRunSpec(spec), { maxMembers: spec.cohort.maximum - 1 })),
  ).toBeUndefined();
});

test('no step of a session may keep its secrets longer than the spec says', () => {
  for (const name of Object.keys(deadlines)) {
    const refused = (ms: number) =>
      knowledge.policy.refusal!(offerOf(hashRunSpec(spec), { deadlines: { ...deadlines, [name]: ms } }));
    expect([stepMs - 1, stepMs + 1, 2 ** 32 - 1].map(refused)).toEqual([undefined, 'deadlines', 'deadlines']);
  }
});

test('the cap of an organisation is that of the spec, and counts words whose signature holds', () => {
  const library = createIdentity(Buffer.alloc(32, 2)).identity;
  const members = [3, 4, 5].map((fill) => createIdentity(Buffer.alloc(32, fill)).identity.publicKey);
  const [endorsed, forged, silent] = members as [Uint8Array, Uint8Array, Uint8Array];
  const word = endorse(library, 'f_1', endorsed);
  const capped = { ...spec, cohort: { ...spec.cohort, perOrganisation: 2 } };
  const { policy, directory } = knowledgeOf({
    ...options,
    update: { ...options.update, spec: capped },
    memberKeys: [endorsed, forged, silent],
    memberEndorsements: [word, word, new Uint8Array()],
  });
  const ended = { memberKeys: [endorsed], memberEndorsements: [endorse(library, 'f_1', endorsed, 100)] };
  expect([...knowledgeOf({ ...options, ...ended }).directory.values()]).toEqual([
    { identityKey: endorsed, trusted: true },
  ]);
  const last = [...knowledgeOf({ ...options, ...ended, beganS: 99 }).directory.values()];
  expect(last).toMatchObject([{ organisation: Buffer.from(library.publicKey).toString('hex') }]);
  expect(policy.mostOfOneOrganisation).toBe(2);
  expect(knowledge.policy.mostOfOneOrganisation).toBeUndefined();
  const named = [...directory.values()].map(({ organisation }) => organisation);
  expect(named).toEqual([Buffer.from(library.publicKey).toString('hex'), undefined, undefined]);
});
