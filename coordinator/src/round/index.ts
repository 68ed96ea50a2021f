export { evolve, initialState } from './evolve.ts';
export { checkUpload } from './facts.ts';
export type { Aggregate, Effect, RoundInput } from './inputs.ts';
export { activePhase, defaultTiming, hasEnded, type AcceptedUpdate, type RoundTiming, type RunState } from './state.ts';
export { step } from './step.ts';
export type { RoundRandom } from './turn.ts';
export { toSend } from './secure-session.ts';
