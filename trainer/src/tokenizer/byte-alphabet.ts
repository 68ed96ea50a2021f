/**
 * GPT-2's byte alphabet: each of the 256 bytes as one printable character, so that a byte-level vocabulary is text.
 * Printable Latin-1 stands for itself; the rest moves to U+0100 and up, in order (OpenAI, gpt-2, bytes_to_unicode).
 */
export const byteAlphabet: readonly string[] = (() => {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let moved = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : 0x100 + moved++));
})();

/** By UTF-16 code unit: 1 for a letter of the alphabet. All lie below U+0144. */
const isLetter = new Uint8Array(0x144);
for (const letter of byteAlphabet) isLetter[letter.charCodeAt(0)] = 1;

/** Asked of every token of a vocabulary. */
export function isInByteAlphabet(token: string): boolean {
  for (let i = 0; i < token.length; i++) if (isLetter[token.charCodeAt(i)] !== 1) return false;
  return true;
}

export const toByteAlphabet = (text: string): string =>
  Array.from(new TextEncoder().encode(text), (byte) => byteAlphabet[byte]).join('');
