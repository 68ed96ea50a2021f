import { WeftError, type ErrorCode } from '@weft/shared';

/**
 * What a person means by a word: an id, the beginning of one, or a name, as long as it is only one's.
 * @throws `unknown` with what there is
 */
export function findNamed<T extends { readonly id: string; readonly name: string }>(
  items: readonly T[],
  word: string,
  unknown: ErrorCode,
): T {
  const exact = items.find(({ id }) => id === word);
  if (exact !== undefined) return exact;
  const meant = items.filter(({ id, name }) => name === word || (word.length >= 4 && id.startsWith(word)));
  const [only] = meant;
  if (only !== undefined && meant.length === 1) return only;
  throw new WeftError(
    unknown,
    meant.length > 1
      ? `${word} could be ${meant.map(({ id }) => id).join(' or ')}`
      : `there is none that is called ${word}`,
  );
}
