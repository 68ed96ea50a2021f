import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { privacy, WeftError } from '@weft/shared';
import { z } from 'zod';
import { writePrivateFile } from '../home/private-file.ts';
import type { Policy } from '../policy/policy.ts';
import type { PolicyRefusal } from '../policy/spec-rules.ts';
import type { Offer } from './offer.ts';

const seenSchema = z.record(
  z.string(),
  z.strictObject({ round: z.number().int().min(0), clipNormL2: z.number().positive() }),
);
type SeenNorms = z.infer<typeof seenSchema>;
const fileIn = (home: string): string => join(home, 'clip-norms.json');

async function readSeenNorms(home: string): Promise<SeenNorms> {
  try {
    return seenSchema.parse(JSON.parse(await readFile(fileIn(home), 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return {};
  }
}

/**
 * Where a run adapts its clip norm the coordinator alone sees what it follows, so a node holds each norm against the one
 * that it saw last: it may have moved by one step a round, or the bit's noise would be no bound on anything.
 * Remembered before anything is trained for the round.
 * @throws WEFT_NODE_OFFER_INVALID
 */
export async function followClipNorm(
  home: string,
  { runId, round, spec, clipNormL2 }: Pick<Offer, 'runId' | 'round' | 'spec' | 'clipNormL2'>,
): Promise<void> {
  if (!spec.privacy?.adaptiveClipping) return;
  const norms = await readSeenNorms(home);
  const seen = norms[runId];
  const rounds = Math.abs(round - (seen?.round ?? round));
  if (seen !== undefined && !privacy.clipNormFollows(seen.clipNormL2, clipNormL2, rounds)) {
    throw new WeftError(
      'WEFT_NODE_OFFER_INVALID',
      `the round offer does not hold together: it clips to ${clipNormL2} in round ${round + 1}, and round ${seen.round + 1} clipped to ${seen.clipNormL2}; it may move by a factor of exp(±0.1) a round`,
    );
  }
  await writePrivateFile(fileIn(home), JSON.stringify({ ...norms, [runId]: { round, clipNormL2 } }));
}

/** The spec's norm is held by the rule of the same name; one that moved away from it is held here. */
export const refusalOfClipNorm = ({ greatestClipNorm }: Policy, clipNormL2: number): PolicyRefusal | undefined =>
  clipNormL2 > greatestClipNorm
    ? {
        rule: 'greatestClipNorm',
        why: `the clip norm has come to ${clipNormL2}, the policy allows ${greatestClipNorm} at most`,
      }
    : undefined;
