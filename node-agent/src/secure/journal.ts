import { open, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunId, secagg } from '@weft/shared';
import { z } from 'zod';
import { writePrivateFile } from '../home/private-file.ts';

/** One session's events, in the order in which the machine took them. Written and synced before an answer leaves. */
export interface Journal {
  readonly lastRound: number;
  readonly memberKeys: readonly Uint8Array[];
  readonly memberEndorsements: readonly Uint8Array[];
  /** Seconds since 1970. */
  readonly beganS: number;
  readonly checkpoint: secagg.NodeKnowledge['checkpoint'];
  readonly events: readonly secagg.NodeEvent[];
}

const headerSchema = z.strictObject({
  lastRound: z.number().int(),
  memberKeys: z.array(z.instanceof(Uint8Array)),
  memberEndorsements: z.array(z.instanceof(Uint8Array)),
  beganS: z.number(),
  checkpoint: z.strictObject({
    size: z.number().int(),
    root: z.instanceof(Uint8Array),
    leastSize: z.number().int().optional(),
  }),
});
const bytes = z.instanceof(Uint8Array);
const signed = z.strictObject({ body: bytes, signature: bytes });
const places = z.strictObject({ place: z.number().int(), proof: z.array(bytes) });
/** As the machine's type has them: of a file that somebody changed no field reaches it that it does not know. */
const eventSchema: z.ZodType<secagg.NodeEvent> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('offer'), signed, consistency: z.array(bytes), secret: bytes.optional() }),
  z.strictObject({ kind: z.enum(['roster', 'shardSeed', 'shareDelivery', 'unmask']), body: bytes }),
  z.strictObject({ kind: z.literal('masked'), chunkRoot: bytes, lengthBytes: z.number().int() }),
  z.strictObject({ kind: z.literal('cut'), signed, proof: places }),
  z.strictObject({ kind: z.enum(['done', 'abort', 'tick']) }),
]);
const roundsSchema = z.record(z.string(), z.number().int());

const fileOf = (folder: string, runId: string, round: number): string => join(folder, `${runId}.${round}.journal`);

/** Bytes as base64 under a name of their own; everything else as JSON writes it. */
const toLine = (value: unknown): string =>
  `${JSON.stringify(value, function (this: Record<string, unknown>, key, plain: unknown) {
    const held = this[key];
    return held instanceof Uint8Array ? { base64: Buffer.from(held).toString('base64') } : plain;
  })}\n`;

const fromLine = (line: string): unknown =>
  JSON.parse(line, (_key, value: unknown) =>
    typeof value === 'object' && value !== null && 'base64' in value && typeof value.base64 === 'string'
      ? new Uint8Array(Buffer.from(value.base64, 'base64'))
      : value,
  );

/** Begins a session's journal with the offer that it answers, both or neither; an earlier one of the same round is gone for good. */
export const beginJournal = (folder: string, runId: RunId, round: number, journal: Journal): Promise<void> =>
  writePrivateFile(fileOf(folder, runId, round), formatJournal(journal));

export async function appendJournal(
  folder: string,
  runId: RunId,
  round: number,
  event: secagg.NodeEvent,
): Promise<void> {
  const file = await open(fileOf(folder, runId, round), 'a', 0o600);
  try {
    await file.writeFile(toLine(event));
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * What a restart finds. A last line that a crash cut short was never acted on: it is taken away, so that the next one begins
 * on a line of its own.
 * @returns undefined where there is no session, or any of it is damaged: then this node has no part in it any more
 */
export async function readJournal(folder: string, runId: RunId, round: number): Promise<Journal | undefined> {
  const path = fileOf(folder, runId, round);
  try {
    const bytes = await readFile(path);
    const journal = parseJournal(bytes.toString('utf8'));
    const wholeBytes = bytes.lastIndexOf('\n') + 1;
    if (journal && wholeBytes < bytes.length) await truncate(path, wholeBytes);
    return journal;
  } catch {
    return undefined;
  }
}

/** @returns undefined for a text with any whole line that no journal has, or without the offer that one begins with */
export function parseJournal(text: string): Journal | undefined {
  const lines = text.split('\n');
  try {
    const header = headerSchema.parse(fromLine(lines[0] ?? ''));
    // The last piece is what follows the last line end: nothing, or a line without an end.
    const events = lines.slice(1, -1).map((line): secagg.NodeEvent => eventSchema.parse(fromLine(line)));
    return events[0]?.kind === 'offer' ? { ...header, events } : undefined;
  } catch {
    return undefined;
  }
}

export const formatJournal = ({ events, ...header }: Journal): string => [header, ...events].map(toLine).join('');

/** The last round of each run in which this node began a session: none begins twice. */
export async function readLastRounds(home: string): Promise<ReadonlyMap<string, number>> {
  try {
    return new Map(Object.entries(roundsSchema.parse(JSON.parse(await readFile(roundsFile(home), 'utf8')))));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw error;
  }
}

export async function writeLastRound(home: string, runId: RunId, round: number): Promise<void> {
  const rounds = Object.fromEntries(new Map(await readLastRounds(home)).set(runId, round));
  await writePrivateFile(roundsFile(home), JSON.stringify(rounds));
}

const roundsFile = (home: string): string => join(home, 'secure-rounds.json');
