import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { dayOf, endless, log, organisationFingerprint } from '@weft/shared';
import { z } from 'zod';
import { runOutcomes } from './offered-runs.ts';

const common = {
  /** ISO 8601, UTC. */
  at: z.string(),
  /** The same in plain words. */
  said: z.string(),
};
const round = { runId: z.string(), runName: z.string(), round: z.number().int() };

const sentSchema = z.discriminatedUnion('kind', [
  z.object({
    ...common,
    kind: z.literal('enrolment'),
    federationId: z.string(),
    nodeId: z.string(),
    nodeName: z.string(),
    organisation: z.string(),
    /** Key of the organisation whose word for this node was sent, in hex. */
    endorsedBy: z.string().optional(),
    /** Seconds since 1970. */
    endorsedUntil: z.number().optional(),
  }),
  z.object({
    ...common,
    ...round,
    kind: z.literal('evaluation'),
    adapterSha256: z.string(),
    lossSum: z.number(),
    tokens: z.number(),
  }),
  z.object({
    ...common,
    ...round,
    kind: z.literal('update'),
    baseModelSha256: z.string(),
    layoutSha256: z.string(),
    previousAdapterSha256: z.string(),
    factor: z.enum(['A', 'B', 'both']),
    payloadSha256: z.string(),
    payloadBytes: z.number(),
    values: z.number(),
    weight: z.number(),
    weighting: z.enum(['examples', 'uniform']),
    /** secure: what left was masked. */
    mode: z.enum(['secure', 'plain']).default('plain'),
    normL2: z.number(),
    clipped: z.boolean(),
    saturatedValues: z.number(),
    trainingSeconds: z.number(),
    updateSha256: z.string(),
    /** In a run with noise: what it cost, and what the data set has spent with it; ε at this δ. */
    privacy: z.object({ epsilon: z.number(), spent: z.number(), delta: z.number() }).optional(),
  }),
  z.object({
    ...common,
    ...round,
    kind: z.literal('secure'),
    /** Of the round's session, and those of them whose updates are summed. */
    members: z.number().int(),
    survivors: z.number().int(),
    /** Members that may collude with the coordinator and still learn no single update. */
    colluders: z.number().int(),
    /** Different organisations whose signature stands beside survivors that this node trusts. */
    organisations: z.number().int().optional(),
  }),
  z.object({
    ...common,
    ...round,
    kind: z.literal('log'),
    /** How the round ended in the transparency log, or that what was shown of it did not hold. */
    outcome: z.enum(['result', 'left out', 'abort', 'distrusted']),
    logSize: z.number().int().optional(),
    /** Which check failed. */
    check: z.enum(Object.keys(log.logChecks) as [log.LogCheckName, ...log.LogCheckName[]]).optional(),
  }),
  z.object({
    ...common,
    ...round,
    kind: z.literal('run'),
    /** How the coordinator said that the run ended, after the last round that this node was offered. */
    outcome: z.enum(runOutcomes),
  }),
  z.object({ ...common, kind: z.literal('cosignature'), logSize: z.number().int() }),
  z.object({
    ...common,
    ...round,
    kind: z.literal('decline'),
    code: z.string(),
    rule: z.string().optional(),
    /** For the operator alone: what the run asks for and what the policy says. It did not leave. */
    why: z.string().optional(),
    /** The update had left before: masked, it is summed if enough of the others sign what this node did not. */
    hadLeft: z.literal(true).optional(),
  }),
]);

/** One line of `sent.jsonl`: what left this machine. */
export type Sent = z.infer<typeof sentSchema>;
type WithoutWords<T> = T extends unknown ? Omit<T, 'at' | 'said'> : never;
export type SentFacts = WithoutWords<Sent>;

/** The operator's own record of what left the machine, one JSON object a line, appended and synced. */
export async function recordSent(home: string, facts: SentFacts, now: Date = new Date()): Promise<Sent> {
  const sent: Sent = { at: now.toISOString(), said: inPlainWords(facts), ...facts };
  const file = await open(fileIn(home), 'a+', 0o600);
  try {
    const { size } = await file.stat();
    const torn = size > 0 && (await file.read(Buffer.alloc(1), 0, 1, size - 1)).buffer[0] !== newline;
    await file.writeFile(`${torn ? '\n' : ''}${JSON.stringify(sent)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  return sent;
}

/** All lines in order; one that a crash cut short is left out. */
export async function readSent(home: string): Promise<Sent[]> {
  const sent: Sent[] = [];
  try {
    for await (const line of createInterface({ input: createReadStream(fileIn(home), 'utf8') })) {
      const parsed = sentSchema.safeParse(parseJson(line));
      if (parsed.success) sent.push(parsed.data);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return sent;
}

function inPlainWords(facts: SentFacts): string {
  switch (facts.kind) {
    case 'enrolment':
      return enrolmentWords(facts);
    case 'evaluation':
      return `Sent how well the adapter does on the held-out records: a loss sum of ${facts.lossSum.toFixed(2)} nats over ${facts.tokens} tokens, two numbers and no text.`;
    case 'update':
      return (
        `Sent the update of round ${facts.round + 1} of "${facts.runName}": ${facts.values} numbers in ${facts.payloadBytes} bytes, the change that training made to ${facts.factor === 'both' ? 'both factors' : `factor ${facts.factor}`} of the adapter ` +
        `(L2 norm ${facts.normL2.toPrecision(4)}${facts.clipped ? ', clipped' : ''}). ` +
        `${facts.mode === 'secure' ? maskedWords : plainWords(facts)}${costWords(facts)}`
      );
    case 'secure':
      return (
        `Signed who is summed in round ${facts.round + 1} of "${facts.runName}": ${facts.survivors} of ${facts.members} members survived. ` +
        `The sum hides this update from the coordinator and ${counted(facts.colluders, 'member')} that may collude with it.`
      );
    case 'log':
      return `${logWords(facts)} (round ${facts.round + 1} of "${facts.runName}"). Nothing was sent.`;
    case 'run':
      return `The run "${facts.runName}" is ${facts.outcome === '' ? 'over' : facts.outcome}; round ${facts.round + 1} was the last one that this node was offered. Nothing was sent.`;
    case 'cosignature':
      return `Cosigned the transparency log of ${facts.logSize} entries as a witness: everyone can see that this node did.`;
    case 'decline':
      return `Declined round ${facts.round + 1} of "${facts.runName}" with the code ${facts.code}${policyWords(facts)}; ${facts.hadLeft ? 'the update had left before, and may be summed all the same' : 'no update was sent'}.`;
  }
}

function enrolmentWords({
  nodeName,
  organisation,
  endorsedBy,
  endorsedUntil = endless,
}: Extract<SentFacts, { kind: 'enrolment' }>): string {
  const names = organisation === '' ? 'this name' : 'these two names';
  const word =
    endorsedBy === undefined
      ? ''
      : `, and the word of the organisation ${organisationFingerprint(Buffer.from(endorsedBy, 'hex'))} for it${endorsedUntil === endless ? '' : `, which ends on ${dayOf(endorsedUntil)}`}`;
  return `Enrolled as "${nodeName}"${organisation === '' ? '' : ` of "${organisation}"`}: sent ${names}, the invite's token and this node's public key${word}.`;
}

const policyWords = ({ rule, why = rule }: Extract<SentFacts, { kind: 'decline' }>): string =>
  why === undefined ? '' : ` (policy: ${why})`;

function logWords({ outcome, logSize, check }: Extract<SentFacts, { kind: 'log' }>): string {
  switch (outcome) {
    case 'result':
      return `The transparency log of ${logSize} entries holds the result, with this node's update in it`;
    case 'left out':
      return `The transparency log of ${logSize} entries holds the result, without this node's shard`;
    case 'abort':
      return `The transparency log of ${logSize} entries says that the round was given up`;
    case 'distrusted':
      return `THE COORDINATOR IS NOT TO BE TRUSTED: ${check === undefined ? 'what it signed does not hold' : log.logChecks[check]}; no further round is taken part in`;
  }
}

const maskedWords =
  'It left masked: the coordinator learns the sum over all members of the round, and neither this update nor its weight.';

const costWords = ({ privacy }: Extract<SentFacts, { kind: 'update' }>): string =>
  privacy === undefined
    ? ''
    : ` It cost ε = ${privacy.epsilon.toFixed(3)}; the data has spent ${privacy.spent.toFixed(3)} in all, at δ = ${privacy.delta}.`;

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

const plainWords = ({ weighting, weight }: Extract<SentFacts, { kind: 'update' }>): string =>
  `${weighting === 'examples' ? `Its weight, ${weight}, tells the coordinator the number of examples (up to the run's cap).` : 'Its weight is 1: all nodes count alike.'} The coordinator can read the update; the text itself is not in it.`;

const newline = 0x0a;

const fileIn = (home: string): string => join(home, 'sent.jsonl');

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
