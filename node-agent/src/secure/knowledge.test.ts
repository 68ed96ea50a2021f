import { create } from '@bufbuild/protobuf';
import { UpdateSchema } from '@weft/proto';
import {
  createIdentity,
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
import { knowledgeOf } from './knowledge.ts';

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
const knowledge = knowledgeOf({
  update: { spec, body, clipNormL2: spec.aggregation.clipNormL2 } as PendingUpdate,
  federation: { coordinatorKey: identity.publicKey, federationId: 'f_1' } as unknown as Federation,
  identity,
  memberKeys: [],
  memberEndorsements: [],
  lastRound: -1,
  checkpoint: { size: 0, root: new Uint8Array(32) },
  policy: defaultPolicy,
});

const offerOf = (specHash: string): secagg.Body<'offer'> =>
  ({
    ...updateEncoding(spec, values).offered,
    minMembers: spec.cohort.minimum,
    ...secureSizes(spec.aggregation.secure),
    smallestSurvivors: spec.aggregation.secure.smallestSurvivors,
    specHash: Buffer.from(specHash, 'hex'),
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
