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

const letters = new Set(byteAlphabet);

export const isInByteAlphabet = (token: string): boolean => Array.from(token).every((letter) => letters.has(letter));

export const toByteAlphabet = (text: string): string =>
  Array.from(new TextEncoder().encode(text), (byte) => byteAlphabet[byte]).join('');
