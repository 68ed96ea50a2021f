import type { WriteStream } from 'node:tty';

/** A line on a terminal, broken between words; elsewhere it stays one. A word that is too long is left whole. */
export function wrapped(line: string, { columns }: Partial<Pick<WriteStream, 'columns'>>, indent = 0): string {
  // a terminal that does not know its width says 0
  if (columns === undefined || columns <= 0) return `${line}\n`;
  const lines: string[] = [];
  for (const word of line.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(last === undefined ? word : `${' '.repeat(indent)}${word}`);
  }
  return `${lines.join('\n')}\n`;
}
