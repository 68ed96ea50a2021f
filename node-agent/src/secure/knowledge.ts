import {
  endorsingOrganisation,
  hashRunSpec,
  secagg,
  secureSizes,
  secureStepMs,
  updateEncoding,
  type Identity,
} from '@weft/shared';
import type { Federation } from '../home/federation-file.ts';
import type { Policy } from '../policy/policy.ts';
import type { PendingUpdate } from '../round/pending-updates.ts';

export interface KnowledgeOptions {
  readonly update: PendingUpdate;
  readonly federation: Federation;
  readonly identity: Identity;
  /** Of the nodes that may take part, as the coordinator names them. */
  readonly memberKeys: readonly Uint8Array[];
  /** Beside each key its organisation's word, or nothing. */
  readonly memberEndorsements: readonly Uint8Array[];
  /** When the session began, in seconds since 1970: a word that had ended by then is none. */
  readonly beganS: number;
  readonly lastRound: number;
  /** Of the log, as this node saw it last. */
  readonly checkpoint: secagg.NodeKnowledge['checkpoint'];
  readonly policy: Policy;
}

/**
 * What this node holds an offer against: the model and adapter that it trained from, and the spec that it agreed to.
 * Members without the word of an organisation that the policy lists count as colluders. Where it lists none all members
 * are trusted: that withstands a coordinator that is curious, and not one that makes members up.
 */
export function knowledgeOf({
  update,
  federation,
  identity,
  memberKeys,
  memberEndorsements,
  beganS,
  lastRound,
  checkpoint,
  policy,
}: KnowledgeOptions): secagg.NodeKnowledge {
  const { body, spec } = update;
  const loaded = {
    baseHash: Buffer.from(body.baseModelSha256, 'hex'),
    adapterHash: Buffer.from(body.previousAdapterSha256, 'hex'),
    layoutHash: Buffer.from(body.layoutSha256, 'hex'),
  };
  return {
    coordinatorKey: federation.coordinatorKey,
    identityKey: identity.publicKey,
    directory: new Map(
      memberKeys.map((key, k) => {
        const said = memberEndorsements[k] ?? new Uint8Array();
        const word = endorsingOrganisation(said, federation.federationId, key, beganS);
        const { trustedOrganisations: trusting } = policy;
        const trusted = trusting === 'any' || (word !== undefined && trusting.includes(word));
        return [
          Buffer.from(secagg.nodeIdOf(key)).toString('hex'),
          { identityKey: key, trusted, ...(word !== undefined && { organisation: word }) },
        ];
      }),
    ),
    loaded,
    // Held against seed and log before it was trained from: round/known-adapter.ts.
    expectedAdapterHash: loaded.adapterHash,
    runId: Buffer.from(body.runId.slice(2), 'hex'),
    round: body.round,
    lastRound,
    checkpoint,
    policy: {
      leastColluders: policy.leastColluders,
      leastHonest: policy.smallestSurvivors,
      // without a list a coordinator could make organisations up as well as members
      leastOrganisations: policy.trustedOrganisations === 'any' ? 0 : policy.fewestOrganisations,
      mostOfOneOrganisation: spec.cohort.perOrganisation,
      // how many at least, the spec promises and the session checks: see smallestCohort in policy/spec-rules.ts
      acceptsSmallCohort: policy.smallestCohort < secagg.minCohortWithoutConsent,
      refusal: (offer) => differenceFromSpec(offer, update),
    },
  };
}

/** The offer may ask for nothing but what the signed run spec says. */
function differenceFromSpec(
  offer: secagg.Body<'offer'>,
  { spec, body, clipNormL2 }: PendingUpdate,
): string | undefined {
  const { secure } = spec.aggregation;
  const due: Partial<secagg.Body<'offer'>> = {
    ...updateEncoding(spec, Number(body.values), clipNormL2).offered,
    minMembers: spec.cohort.minimum,
    ...secureSizes(secure),
    smallestSurvivors: secure.smallestSurvivors,
  };
  // Whoever answers this offer signs its hash, and so the whole spec: what it publishes, too.
  if (!Buffer.from(offer.specHash).equals(Buffer.from(hashRunSpec(spec), 'hex'))) return 'specHash';
  // The ring is as wide as the sum over so many needs; more could carry it out.
  if (offer.maxMembers > spec.cohort.maximum) return 'maxMembers';
  // So long this node keeps the secrets of a session.
  if (Object.values(offer.deadlines).some((ms) => ms > secureStepMs(secure))) return 'deadlines';
  return (Object.keys(due) as (keyof typeof due)[]).find((name) => offer[name] !== due[name]);
}
