import { WeftError, type RunId, type RunSpec } from '@weft/shared';
import { isApproved, noteWaiting } from './approvals.ts';
import { refusalOfHour } from './local-rules.ts';
import type { Policy, PolicyKey } from './policy.ts';
import { refusalsOfSpec, type PolicyRefusal } from './spec-rules.ts';

/** The error of a refusal: the first broken rule names it, and the message tells of all. */
export function refusedBy(refusals: readonly PolicyRefusal[]): WeftError | undefined {
  const [first] = refusals;
  if (first === undefined) return undefined;
  const whys = refusals.map(({ rule, why }) => `${rule}: ${why}`).join('; ');
  return new WeftError('WEFT_POLICY_REFUSED', `the policy refuses this run: ${whys}`, {
    rule: [...new Set(refusals.map(({ rule }) => rule))].join(', '),
    why: whys,
  });
}

/** @throws WEFT_POLICY_REFUSED where there is a refusal */
export function refuse(refusal: PolicyRefusal | undefined): void {
  const refused = refusedBy(refusal === undefined ? [] : [refusal]);
  if (refused !== undefined) throw refused;
}

/** What a run asks for, held against the policy. */
export const refusalOfRun = (spec: RunSpec, policy: Policy): WeftError | undefined =>
  refusedBy(refusalsOfSpec(spec, policy));

/**
 * What a new round has to pass before anything is fetched or trained for it.
 * @param now in the machine's own time zone
 */
export async function refusalOfRound(
  { home, policy }: { readonly home: string; readonly policy: Policy },
  { runId, spec }: { readonly runId: RunId; readonly spec: RunSpec },
  now: Date,
): Promise<WeftError | undefined> {
  const refused = refusalOfRun(spec, policy);
  if (refused !== undefined) return refused;
  const hour = refusalOfHour(policy, now);
  if (hour !== undefined) return refusedBy([hour]);
  if (policy.approval === 'by-rule' || (await isApproved(home, runId, spec))) return undefined;
  await noteWaiting(home, runId, spec);
  return refusedBy([{ rule: 'approval', why: `it waits for \`weft node policy approve ${runId}\`` }]);
}

/** What the coordinator hears: the names of rules, none of their values. */
export const refusedRules = ({ details }: WeftError): string | undefined =>
  typeof details['rule'] === 'string' ? details['rule'] : undefined;

/** What the operator is told beside: what the run asks for and what the policy says. It never leaves the node. */
export const reasonOfRefusal = ({ details }: WeftError): string | undefined =>
  typeof details['why'] === 'string' ? details['why'] : undefined;

/** Checks of a session that hold what the policy asks for, and the key that asks. */
const ruleOfCheck: ReadonlyMap<string, PolicyKey> = new Map<string, PolicyKey>([
  ['colludersWithstood', 'leastColluders'],
  ['smallCohortConsented', 'smallestCohort'],
  ['untrustedAreFew', 'trustedOrganisations'],
  ['organisationsPresent', 'fewestOrganisations'],
  ['organisationsSurvive', 'fewestOrganisations'],
]);

/** The error of a session that this node left. @param reason the check that did not hold, or other words */
export function endedSession(runId: string, round: number, reason: string): WeftError {
  const rule = ruleOfCheck.get(reason);
  return new WeftError('WEFT_SECAGG_REFUSED', `secure aggregation of round ${round + 1} ended here: ${reason}`, {
    runId,
    round,
    ...(rule !== undefined && { rule }),
  });
}
