import { bodyTargets, machineTargets, partTargets } from './machines.ts';
import { decoderTargets } from './decoders.ts';
import { logTargets } from './log-decoders.ts';
import { wireTargets } from './wire.ts';
import type { FuzzTarget } from './target.ts';

/** Everything in the trust part that reads what somebody else wrote. */
export const targets: readonly FuzzTarget[] = [
  ...bodyTargets,
  ...partTargets,
  ...logTargets,
  ...decoderTargets,
  ...wireTargets,
  ...machineTargets,
];
