import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { WeftError } from '@weft/shared';
import { dataLimits } from './limits.ts';

export interface Line {
  /** From 1. */
  readonly number: number;
  readonly text: string;
  /** Its end, where it has one. */
  readonly end: '' | '\n' | '\r\n';
}

const lineFeed = 0x0a;
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

/** The lines of a UTF-8 file without their ends, one at a time; a byte order mark is left out. */
export async function* readLines(file: string): AsyncGenerator<Line> {
  let number = 0;
  let offset = 0; // of the line's first byte
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  const finish = (lineEnd: '' | '\n'): Line => {
    if (pendingBytes > dataLimits.lineBytes) throw tooLong(number + 1, pendingBytes, file);
    const bytes = pending.length === 1 ? (pending[0] as Buffer) : Buffer.concat(pending);
    const whole = decodeLine(bytes, ++number, offset, file);
    const text = whole.endsWith('\r') ? whole.slice(0, -1) : whole;
    offset += pendingBytes + lineEnd.length;
    pending = [];
    pendingBytes = 0;
    return { number, text, end: text !== whole && lineEnd !== '' ? '\r\n' : lineEnd };
  };
  const collect = (piece: Buffer): void => {
    pendingBytes += piece.length;
    // a line that is too long is only counted to its end
    if (pendingBytes > dataLimits.lineBytes) pending = [];
    else pending.push(piece);
  };
  for await (const chunk of readChunks(file)) {
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, start)) {
      collect(chunk.subarray(start, end));
      yield finish('\n');
      start = end + 1;
    }
    if (start < chunk.length) collect(chunk.subarray(start));
  }
  if (pendingBytes > 0) yield finish('');
}

const tooLong = (line: number, actual: number, file: string): WeftError =>
  new WeftError(
    'WEFT_DATA_LIMIT',
    `line ${line} has ${actual} bytes, the limit is ${dataLimits.lineBytes} (lineBytes)`,
    { file, line, limit: 'data.lineBytes', actual },
  );

/** The system's own message would name the path. */
async function* readChunks(file: string): AsyncGenerator<Buffer> {
  const stream = createReadStream(file, { highWaterMark: 1024 * 1024 });
  try {
    yield* stream as AsyncIterable<Buffer>;
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code;
    throw reason === undefined
      ? error
      : new WeftError('WEFT_DATA_NOT_FOUND', `a data file cannot be read (${reason})`, { file });
  }
}

function decodeLine(bytes: Buffer, number: number, offset: number, file: string): string {
  if (!isUtf8(bytes)) {
    const at = offset + firstInvalidByte(bytes);
    throw new WeftError(
      'WEFT_DATA_NOT_UTF8',
      `line ${number} is not UTF-8: byte ${at} of the file begins no character`,
      { file, line: number, byteOffset: at },
    );
  }
  const zero = bytes.indexOf(0);
  if (zero >= 0) {
    throw new WeftError(
      'WEFT_DATA_NOT_UTF8',
      `line ${number} is no text: byte ${offset + zero} of the file is zero, as in UTF-16 and binary files`,
      { file, line: number, byteOffset: offset + zero },
    );
  }
  const body = number === 1 && bytes.subarray(0, 3).equals(byteOrderMark) ? bytes.subarray(3) : bytes;
  return body.toString('utf8');
}

/** Where the first ill-formed sequence begins (Unicode, table 3-7, which isUtf8 knows). */
export function firstInvalidByte(bytes: Uint8Array): number {
  for (let i = 0; i < bytes.length;) {
    const lead = bytes[i] as number;
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (length > 1 && !isUtf8(bytes.subarray(i, i + length))) return i;
    i += length;
  }
  return bytes.length;
}
