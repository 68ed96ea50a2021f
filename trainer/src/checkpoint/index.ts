export { type Checkpoint, loadCheckpoint, saveCheckpoint } from './checkpoint-folder.ts';
export { identifyRun, type RunIdentity } from './identity.ts';
export type { TrainingState } from './training-state.ts';
