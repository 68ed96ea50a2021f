import { WeftError } from '@weft/shared';
import type { Device } from '@weft/trainer';
import type { PrivacyBudget } from '../ledger/privacy-ledger.ts';
import type { Policy, PolicyKey } from './policy.ts';
import type { PolicyRefusal } from './spec-rules.ts';

/** Rules about this machine and its data, each with the place that holds it. A test sees that none is forgotten. */
export const localRules: Partial<Readonly<Record<PolicyKey, string>>> = {
  version: 'parse-policy.ts',
  publishers: 'publishers.ts, at the start: what they signed joins baseModels',
  trustedOrganisations: 'secure/knowledge.ts, over the members of each session',
  fewestOrganisations: 'secure/knowledge.ts, over the survivors of each session',
  privacyBudget: 'ledger/privacy-ledger.ts, before a masked update leaves; spec-rules.ts where a run has no noise',
  privacyDelta: 'ledger/privacy-ledger.ts',
  privacyLedger: 'agent.ts, at the start',
  dataSet: 'ledger/privacy-ledger.ts',
  mostRounds: 'round/answered-rounds.ts, at the offer and before an update leaves',
  metrics: 'metrics.ts, at each message that would carry one',
  heldOutShare: 'metrics.ts, for round/local-data.ts',
  leastHeldOut: 'round/score-adapter.ts, before an adapter is scored',
  hours: 'round/rounds.ts, at the offer',
  approval: 'round/rounds.ts, at the offer',
  leastExamples: 'round/job.ts, before training',
  memoryMiB: 'round/job.ts, before training',
  threads: 'agent.ts, at the start',
  devices: 'agent.ts, at the start',
  witness: 'agent.ts, which gives log/log-watch.ts a key to cosign with, or none',
};

/** @param now in the machine's own time zone */
export function refusalOfHour({ hours }: Policy, now: Date): PolicyRefusal | undefined {
  if (hours === 'any') return undefined;
  const minute = now.getHours() * 60 + now.getMinutes();
  const isOpen = hours.some((window) => {
    const [from = 0, to = 0] = window.split('-').map(minuteOf);
    // 22:00-06:00 goes over midnight; 00:00-00:00 is the whole day
    return from < to ? minute >= from && minute < to : minute >= from || minute < to;
  });
  if (isOpen) return undefined;
  const at = `${String(now.getHours()).padStart(2, '0')}:${String(now.getMinutes()).padStart(2, '0')}`;
  return { rule: 'hours', why: `it is ${at}, and the policy lets rounds begin ${hours.join(', ')}` };
}

const minuteOf = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5));

/** @param rows that this node has to train on */
export const refusalOfRows = ({ leastExamples }: Policy, rows: number): PolicyRefusal | undefined =>
  rows < leastExamples
    ? {
        rule: 'leastExamples',
        why: `there are ${rows} rows to train on, the policy asks for ${leastExamples} at least`,
      }
    : undefined;

/** @param records that are held back, each counted once */
export const refusalOfHeldOut = ({ leastHeldOut }: Policy, records: number): PolicyRefusal | undefined =>
  records < leastHeldOut
    ? {
        rule: 'leastHeldOut',
        why: `${records} different records are held back, the policy asks for ${leastHeldOut} at least under a loss that leaves`,
      }
    : undefined;

export function refusalOfMemory({ memoryMiB }: Policy, foretoldBytes: number): PolicyRefusal | undefined {
  const foretoldMiB = Math.ceil(foretoldBytes / 2 ** 20);
  return memoryMiB !== 'any' && foretoldMiB > memoryMiB
    ? { rule: 'memoryMiB', why: `a step is foretold to take ${foretoldMiB} MiB, the policy allows ${memoryMiB}` }
    : undefined;
}

/** What the ledger holds all runs against. */
export const budgetOf = ({ privacyBudget, privacyDelta }: Policy): PrivacyBudget | undefined =>
  privacyBudget === 'none' ? undefined : { epsilon: privacyBudget, delta: privacyDelta };

/** As many as are asked for, and no more than the policy allows. */
export const allowedThreads = ({ threads }: Policy, asked: number): number =>
  threads === 'any' ? asked : Math.min(asked, threads);

/** @throws WEFT_POLICY_REFUSED */
export function allowedDevice({ devices }: Policy, asked: Device): Device {
  if (devices.includes('auto') || devices.includes(asked)) return asked;
  if (asked === 'auto') return devices[0]!;
  throw new WeftError(
    'WEFT_POLICY_REFUSED',
    `devices: --device ${asked} was asked for, the policy allows ${devices.join(', ')}`,
    { rule: 'devices' },
  );
}
