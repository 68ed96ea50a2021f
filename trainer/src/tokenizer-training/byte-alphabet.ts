/**
 * Byte-level BPE writes each byte as one printable character (GPT-2's `bytes_to_unicode`): bytes that print in Latin-1
 * stand for themselves, the others take the code points from 256 upwards, in order.
 */
const printable = (byte: number): boolean => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;

/** By byte, the character that stands for it. */
export const byteCharacters: readonly string[] = (() => {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
})();

/**
 * The 256 characters by code point: their ids in a vocabulary follow this order, as in Hugging Face's trainer, so that
 * two trainers on one text agree.
 */
export const byteAlphabet: readonly string[] = byteCharacters.toSorted((a, b) => (a < b ? -1 : 1));

const encoder = new TextEncoder();

export function toByteCharacters(text: string): string[] {
  return Array.from(encoder.encode(text), (byte) => byteCharacters[byte] as string);
}
