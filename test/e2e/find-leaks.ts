/** What must not leave a node. */
export interface Secrets {
  /** Whole data files. */
  readonly texts: readonly string[];
  /** Rows of token ids. */
  readonly tokenIds: readonly (readonly number[])[];
  /** Names and paths of data files. */
  readonly names: readonly string[];
}

/** What was found where; empty when nothing leaked. */
export type Leak =
  | 'text'
  | 'token ids as varints'
  | 'token ids as 32-bit integers'
  | 'token ids as 64-bit integers'
  | 'token ids as JSON'
  | 'name';

const pieceCharacters = 20;
const runLength = 8;

/** Searches bytes for every 20-character piece of the texts, every run of 8 token ids in four encodings, and every name. */
export function findLeaks(sent: readonly Uint8Array[], { texts, tokenIds, names }: Secrets): Set<Leak> {
  const found = new Set<Leak>();
  const haystacks = sent.map((bytes) => Buffer.from(bytes));
  if (
    holdsAny(
      haystacks,
      texts.flatMap((text) => pieces(Array.from(text), pieceCharacters).map((piece) => Buffer.from(piece.join('')))),
    )
  )
    found.add('text');
  const runs = tokenIds.flatMap((ids) => pieces(ids, runLength));
  const encodings: Partial<Record<Leak, (run: readonly number[]) => readonly Buffer[]>> = {
    'token ids as varints': (run) => [Buffer.concat(run.map(varint))],
    'token ids as 32-bit integers': (run) => [Buffer.from(Int32Array.from(run).buffer)],
    'token ids as 64-bit integers': (run) => [Buffer.from(BigInt64Array.from(run, BigInt).buffer)],
    'token ids as JSON': (run) => [Buffer.from(run.join(',')), Buffer.from(run.join(', '))],
  };
  for (const [leak, encode] of Object.entries(encodings))
    if (holdsAny(haystacks, runs.flatMap(encode))) found.add(leak as Leak);
  if (names.some((name) => haystacks.some((haystack) => haystack.includes(name)))) found.add('name');
  return found;
}

const pieces = <T>(whole: readonly T[], length: number): (readonly T[])[] =>
  Array.from({ length: Math.max(0, whole.length - length + 1) }, (_, start) => whole.slice(start, start + length));

/** Slides a window of each needle's length over the bytes: one pass a length, whatever the number of needles. */
function holdsAny(haystacks: readonly Buffer[], needles: readonly Buffer[]): boolean {
  const byLength = Map.groupBy(needles, ({ length }) => length);
  for (const [length, group] of byLength) {
    const keys = new Set(group.map((needle) => needle.toString('latin1')));
    for (const haystack of haystacks) {
      const text = haystack.toString('latin1');
      for (let start = 0; start + length <= text.length; start++)
        if (keys.has(text.slice(start, start + length))) return true;
    }
  }
  return false;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 128);
  }
}
