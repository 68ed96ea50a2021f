import { createHash } from 'node:crypto';
import { isSha256, privacy, WeftError } from '@weft/shared';
import { z } from 'zod';

/** One round that a masked update was made for: what it costs, whoever it went to. */
export interface Charge {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly dataSet: string;
  readonly federationId: string;
  readonly runId: string;
  readonly runName: string;
  readonly round: number;
  /** Of the words before masking: sending the same again costs nothing. */
  readonly payloadSha256: string;
  readonly noiseMultiplier: number;
  readonly spending: privacy.Spending;
}

/** A charge is under 3.2 KiB; a longer line is none of ours. */
const maxLineBytes = 8 * 1024;
/** 80,000 rounds; more would take longer to read than to train. */
export const maxLedgerBytes = 256 * 1024 * 1024;
/** As it may stand in a flag and in one line. */
export const dataSetPattern = /^\w[\w. -]{0,63}$/;

const header = '{"ledger":"weft/1"}';
const start = '0'.repeat(64);
const rdpBytes = 8 * privacy.renyiOrders.length;

const schema = z.strictObject({
  at: z.iso.datetime(),
  dataSet: z.string().regex(dataSetPattern),
  federationId: z.string().max(100),
  runId: z.string().max(100),
  runName: z.string().max(1200),
  round: z.number().int().min(0),
  payloadSha256: z.string().refine(isSha256),
  noiseMultiplier: z.number().positive(),
  samplerDelta: z.number().min(0),
  /** Rényi divergences at the orders 2 … 256, float64, little-endian, base64. */
  rdp: z.base64().length(4 * Math.ceil(rdpBytes / 3)),
});

export interface LedgerContent {
  readonly charges: readonly Charge[];
  /** Of the line of each charge. */
  readonly hashes: readonly string[];
  /** Hash of the last line; the next one is chained to it. */
  readonly head: string;
  /** Up to where the file is whole: what a crash cut short behind it was never acted on. */
  readonly wholeBytes: number;
  /** A crash may take the last line's end alone: the charge counts, and the next one brings the end. */
  readonly lacksEnd: boolean;
}

export const emptyLedger: LedgerContent = { charges: [], hashes: [], head: start, wholeBytes: 0, lacksEnd: false };

/** SHA-256("weft/1/ledger\0" ‖ hash of the line before ‖ this line's JSON). */
const hashOf = (previous: string, json: string): string =>
  createHash('sha256').update('weft/1/ledger\0').update(previous).update(json).digest('hex');

const lineOf = (previous: string, json: string): string => `${hashOf(previous, json)} ${json}\n`;

/** The bytes to append for one more charge; the first brings the file's header with it. */
export function encodeCharge({ head, lacksEnd }: LedgerContent, { spending, ...charge }: Charge): string {
  const rdp = Buffer.alloc(rdpBytes);
  spending.rdp.forEach((value, k) => rdp.writeDoubleLE(value, 8 * k));
  // Free text from the spec: braces, quotes and line ends would blur where a line that was cut short ends.
  const runName = encodeURIComponent(charge.runName.slice(0, 100).toWellFormed());
  const json = JSON.stringify({ ...charge, runName, samplerDelta: spending.delta, rdp: rdp.toString('base64') });
  const end = lacksEnd ? '\n' : '';
  if (head !== start) return end + lineOf(head, json);
  const first = lineOf(start, header);
  return end + first + lineOf(first.slice(0, 64), json);
}

/** Of the line of the charge that these bytes of `encodeCharge` end with. */
export const hashIn = (appended: string): string => appended.trimEnd().split('\n').at(-1)!.slice(0, 64);

/**
 * @throws WEFT_PRIVACY_LEDGER_DAMAGED for anything but whole lines, each chained to the one before, and at most the
 * beginning of one more
 */
export function parseLedger(bytes: Uint8Array): LedgerContent {
  if (bytes.length > maxLedgerBytes) throw damaged(0, `it has ${bytes.length} bytes, the limit is ${maxLedgerBytes}`);
  const charges: Charge[] = [];
  const hashes: string[] = [];
  let head = start;
  let at = 0;
  let line = 0;
  while (at < bytes.length) {
    const end = bytes.indexOf(0x0a, at);
    const piece = bytes.subarray(at, end === -1 ? bytes.length : end);
    // A line has one brace that closes, its last character: without it this is what a crash left of an append.
    if (end === -1 && !piece.includes(0x7d)) break;
    line += 1;
    if (piece.length > maxLineBytes) throw damaged(line, `${piece.length} bytes, the limit is ${maxLineBytes}`);
    const text = Buffer.from(piece).toString('utf8');
    const json = text.slice(65);
    if (text !== `${hashOf(head, json)} ${json}`) throw damaged(line, 'its hash does not match');
    if (line > 1) charges.push(parseCharge(json, line));
    else if (json !== header) throw damaged(line, 'it is no header of this version');
    head = text.slice(0, 64);
    if (line > 1) hashes.push(head);
    at = end === -1 ? bytes.length : end + 1;
  }
  return { charges, hashes, head, wholeBytes: at, lacksEnd: at > 0 && bytes[at - 1] !== 0x0a };
}

function parseCharge(json: string, line: number): Charge {
  try {
    const { rdp: base64, samplerDelta, runName, ...charge } = schema.parse(JSON.parse(json));
    const bytes = Buffer.from(base64, 'base64');
    const rdp = Float64Array.from(privacy.renyiOrders, (_, k) => bytes.readDoubleLE(8 * k));
    if (!rdp.every((value) => Number.isFinite(value) && value >= 0)) throw new RangeError('a divergence below 0');
    return { ...charge, runName: decodeURIComponent(runName), spending: { rdp, delta: samplerDelta } };
  } catch {
    throw damaged(line, 'it is no charge');
  }
}

const damaged = (line: number, what: string): WeftError =>
  new WeftError('WEFT_PRIVACY_LEDGER_DAMAGED', `the privacy ledger cannot be trusted: line ${line}: ${what}`, { line });
