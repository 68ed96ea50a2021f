import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { isWeftError, sha256File, WeftError } from '@weft/shared';
import {
  readSafetensorsHeader,
  readTensor,
  type SafetensorsFile,
  writeFileAtomically,
  writeSafetensors,
} from '../weights/index.ts';
import {
  type CheckpointManifest,
  type CheckpointScore,
  manifestLimitBytes,
  manifestOf,
  parseManifest,
} from './manifest.ts';
import { refuseOtherRun, type RunIdentity } from './identity.ts';
import type { TrainingState } from './training-state.ts';

const manifestName = 'checkpoint.json';
const tensorNames = ['adapter', 'firstMoment', 'secondMoment', 'losses'] as const;

export interface Checkpoint {
  readonly state: TrainingState;
  /** Of each step that is done, as the runtime gave it. */
  readonly losses: Float32Array;
  /** Of held-out data, in order of steps. */
  readonly scores: readonly CheckpointScore[];
}

/**
 * Writes a checkpoint over the one before. The tensors go first, under a name of their own; the manifest that names them
 * is the moment at which the checkpoint counts. Whatever stops the process, the folder holds one whole checkpoint.
 */
export async function saveCheckpoint(
  folder: string,
  identity: RunIdentity,
  { state, losses, scores }: Checkpoint,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const file = `step-${state.step}-${randomBytes(4).toString('hex')}.safetensors`;
  const values = { ...state, losses };
  await writeSafetensors(
    path.join(folder, file),
    tensorNames.map((name) => ({ name, dtype: 'F32', shape: [values[name].length], data: values[name] })),
  );
  const manifest = manifestOf(identity, state, scores, file, await sha256File(path.join(folder, file)));
  await writeFileAtomically(path.join(folder, manifestName), async (handle) => handle.writeFile(manifest));
  await removeOthers(folder, file);
}

/** The checkpoint of this run; one of another model, other data or other options is refused. */
export async function loadCheckpoint(folder: string, identity: RunIdentity): Promise<Checkpoint> {
  const manifest = parseManifest(await readManifest(path.join(folder, manifestName)));
  refuseOtherRun(manifest.run, identity);
  const file = path.join(folder, manifest.tensors.file);
  try {
    const { tensors } = await readSafetensorsHeader(file);
    if ((await sha256File(file)) !== manifest.tensors.sha256)
      throw corrupt(`${manifest.tensors.file} has another hash`);
    return await readTensors(manifest, tensors);
  } catch (cause) {
    if (isWeftError(cause) && cause.code.startsWith('WEFT_MODEL_')) {
      throw corrupt(`${manifest.tensors.file}: ${cause.message}`, cause);
    }
    throw cause;
  }
}

async function readTensors(
  { step, tokens, examples, skippedSteps, lossScale, scores }: CheckpointManifest,
  tensors: SafetensorsFile['tensors'],
): Promise<Checkpoint> {
  const values = async (name: (typeof tensorNames)[number]): Promise<Float32Array> => {
    const tensor = tensors.get(name);
    if (!tensor) throw corrupt(`the tensors lack ${name}`);
    return readTensor(tensor);
  };
  const losses = await values('losses');
  if (losses.length !== step) throw corrupt(`there are ${losses.length} losses of ${step} steps`);
  return {
    state: {
      step,
      tokens,
      examples,
      ...(skippedSteps !== undefined && { skippedSteps }),
      ...(lossScale !== undefined && { lossScale }),
      adapter: await values('adapter'),
      firstMoment: await values('firstMoment'),
      secondMoment: await values('secondMoment'),
    },
    losses,
    scores,
  };
}

async function readManifest(file: string): Promise<string> {
  const handle = await open(file, 'r').catch((cause: unknown) => {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new WeftError(
      'WEFT_CHECKPOINT_NOT_FOUND',
      `there is no ${manifestName} to go on from (${reason})`,
      { file },
      { cause },
    );
  });
  try {
    const { size } = await handle.stat();
    if (size > manifestLimitBytes)
      throw corrupt(`${manifestName} has ${size} bytes, the limit is ${manifestLimitBytes}`);
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

/** What checkpoints before this one left, half-written files of a killed process too. */
async function removeOthers(folder: string, file: string): Promise<void> {
  const ours = /^\.?(?:step-\d+-[0-9a-f]{8}\.safetensors|checkpoint\.json)/;
  for (const name of await readdir(folder)) {
    if (name !== file && name !== manifestName && ours.test(name)) await rm(path.join(folder, name), { force: true });
  }
}

const corrupt = (what: string, cause?: unknown): WeftError =>
  new WeftError('WEFT_CHECKPOINT_CORRUPT', what, {}, { cause });
