import { createIdentity, type ErrorCode } from '@weft/shared';
import { bytesLike } from './damage.ts';
import { demand, type FuzzTarget, fuzzTarget, sameBytes, takes } from './target.ts';

/** What examples are made of. */
export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
export const utf8 = (string: string): Uint8Array => new Uint8Array(Buffer.from(string));
export const hash = new Uint8Array(32).fill(5);
export const { identity } = createIdentity(new Uint8Array(32).fill(1));
export const { identity: other } = createIdentity(new Uint8Array(32).fill(2));

/**
 * @param codes errors that may refuse the bytes
 * @param written what the parsed value is as bytes again, where it has one form only
 */
export const decoder = (
  name: string,
  part: number,
  examples: readonly Uint8Array[],
  codes: readonly ErrorCode[],
  written: (bytes: Uint8Array) => Uint8Array | undefined,
): FuzzTarget =>
  fuzzTarget(name, part, bytesLike(examples), (bytes) =>
    takes(() => {
      const again = written(bytes);
      demand(again === undefined || sameBytes(again, bytes), 'what was read is written in another way');
    }, codes),
  );
