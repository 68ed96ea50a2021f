import { log, privacy } from '@weft/shared';
import { coordinator, Refuted } from './evidence.ts';
import type { Placed } from './replay-session.ts';

/**
 * How far, relative to it, a recomputed norm may lie from the one that is logged: exp is the one function here that is not
 * the same to the last bit on every machine. Each round starts from the logged bits, so nothing adds up.
 */
const tolerance = 1e-12;

/**
 * Members clipped to what the log names: the run spec before the first result, the last result from then on.
 * @throws Refuted
 */
export function requireClipNorm(offered: number, due: number, { entry }: Pick<Placed<'offer'>, 'entry'>): void {
  if (offered === due) return;
  const claim = `members were offered the clip norm ${offered}, spec and results before it name ${due}`;
  throw new Refuted({ claim, entry, party: coordinator });
}

/**
 * @param withinShare as it was recomputed; undefined where the run does not adapt its clip norm
 * @returns the norm of the next round
 * @throws Refuted
 */
export function requireNextClipNorm(
  { leaf, entry }: { readonly leaf: Pick<Placed<'result'>['leaf'], 'nextClipNorm'>; readonly entry: number },
  clipNormL2: number,
  withinShare: number | undefined,
): number {
  const logged = log.floatOfBits(leaf.nextClipNorm);
  const due = withinShare === undefined ? 0 : privacy.nextClipNorm(clipNormL2, withinShare);
  if (Math.abs(logged - due) <= tolerance * due) return logged;
  const claim = `the next clip norm is ${logged} in the log, what members signed gives ${due}`;
  throw new Refuted({ claim, entry, party: coordinator });
}
