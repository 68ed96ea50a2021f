import { bodyTargets, machineTargets } from './machines.ts';
import { decoderTargets } from './decoders.ts';
import type { FuzzTarget } from './target.ts';

/** Everything in the trust part that reads what somebody else wrote. */
export const targets: readonly FuzzTarget[] = [...bodyTargets, ...decoderTargets, ...machineTargets];
