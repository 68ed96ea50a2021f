/** The thread that owns ONNX Runtime sessions and the tensors they update: `run` blocks the thread it is called on. */
import { parentPort } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { nextState } from '../optim/adamw.ts';
import type { DeviceState } from './device-state.ts';
import {
  appendedState,
  type Numbered,
  type Reply,
  type Request,
  type SessionSettings,
  type WireTensor,
} from './messages.ts';
import { writeRows } from './write-rows.ts';

const sessions = new Map<string, InferenceSession>();
/** Shared by all sessions of the thread; a run that has an output `next:NAME` writes it over the tensor NAME. */
const state = new Map<string, Tensor>();

/** Where state lies, if that is not the host. */
let device: DeviceState | undefined;
/** Between the memory of the host and that of the device, since the last reply. */
let copiedBytes = 0;
let copies = false;

async function open(name: string, model: Uint8Array, settings: SessionSettings): Promise<void> {
  const options = optionsFor(settings);
  copies = settings.provider !== 'cpu';
  if (settings.state === 'device') {
    const { DeviceState } = await import('./device-state.ts');
    device ??= new DeviceState((bytes, places) => InferenceSession.create(bytes, { ...options, ...places }));
  }
  sessions.set(name, await (device?.open(model) ?? InferenceSession.create(model, options)));
}

function optionsFor({
  provider,
  threads,
  weightsFolder,
  profilePrefix,
  waits,
  packsWeights,
}: SessionSettings): InferenceSession.SessionOptions {
  return {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    // Rewriting the graph gains nothing here: the graphs are written with fused kernels, constant folding would widen
    // half-precision weights for good, and merging equal nodes would undo what is computed twice to save memory.
    graphOptimizationLevel: 'disabled',
    // A plan of all buffers at once costs 700 MB more on a 135M model's step (4×128) than taking them one by one.
    enableMemPattern: false,
    // An arena never shrinks, and each session, one for each length of sequence, would have its own: the allocator of
    // the process serves all, as fast, and takes less even for one.
    enableCpuMemArena: false,
    logSeverityLevel: 3,
    ...(profilePrefix === undefined ? {} : { enableProfiling: true, profileFilePrefix: profilePrefix }),
    extra: {
      session: {
        // Packed copies of the weights cost their size again and gain nothing at training's batch sizes.
        disable_prepacking: packsWeights ? '0' : '1',
        intra_op: { allow_spinning: waits === 'busily' ? '1' : '0' },
        // A node that the device cannot run would go to the CPU and back at every step, without a word.
        ...(provider === 'webgpu' ? { disable_cpu_ep_fallback: '1' } : {}),
        ...(weightsFolder === undefined ? {} : { model_external_initializers_file_folder_path: weightsFolder }),
      },
    },
  };
}

/** What of a session's inputs and outputs is state; a run of many small nodes should not look that up each time. */
interface Plan {
  readonly inputs: readonly string[];
  readonly state: Readonly<Record<string, Tensor>>;
  readonly fetches: Readonly<Record<string, Tensor | null>>;
  readonly appended: readonly (readonly [string, Tensor])[];
  readonly results: readonly string[];
}

const plans = new Map<string, Plan>();

function planOf(name: string): { session: InferenceSession; plan: Plan } {
  const session = sessions.get(name);
  if (!session) throw new Error(`there is no session ${name}`);
  const known = plans.get(name);
  if (known) return { session, plan: known };
  const { inputNames: inputs, outputNames: outputs } = session;
  const targets = new Map([...state].map(([key, tensor]) => [nextState(key), tensor]));
  const appended = [...state].map(([key, tensor]) => [appendedState(key), tensor] as const);
  const isAppended = new Set(appended.map(([output]) => output));
  const plan: Plan = {
    inputs,
    state: Object.fromEntries([...state].filter(([key]) => inputs.includes(key))),
    fetches: Object.fromEntries(outputs.map((output) => [output, device ? null : (targets.get(output) ?? null)])),
    appended: appended.filter(([output]) => outputs.includes(output)),
    results: outputs.filter((output) => !targets.has(output) && !isAppended.has(output)),
  };
  plans.set(name, plan);
  return { session, plan };
}

async function run(name: string, given: readonly WireTensor[], appendAt: number): Promise<WireTensor[]> {
  const { session, plan } = planOf(name);
  const feeds: Record<string, Tensor> = device ? await onDevice(device, Object.keys(plan.state)) : { ...plan.state };
  for (const tensor of given) if (plan.inputs.includes(tensor.name)) feeds[tensor.name] = toTensor(tensor);
  const missing = plan.inputs.find((input) => !feeds[input]);
  if (missing !== undefined) throw new Error(`input ${missing} of session ${name} has no value`);
  const results = await session.run(feeds, plan.fetches);
  if (copies) for (const tensor of [...Object.values(feeds), ...Object.values(results)]) count(tensor);
  if (device) replaceState(results);
  for (const [output, tensor] of plan.appended) {
    const rows = results[output];
    if (rows) writeRows(floats(output, rows), rows.dims, floats(output, tensor), tensor.dims, appendAt);
  }
  return plan.results.map((output) => toWire(output, results[output]));
}

/** State tensors, where their readers want them. */
async function onDevice(place: DeviceState, names: readonly string[]): Promise<Record<string, Tensor>> {
  const feeds: Record<string, Tensor> = {};
  for (const name of names) {
    const tensor = state.get(name);
    if (!tensor) continue;
    count(tensor);
    feeds[name] = await place.toDevice(tensor);
    state.set(name, feeds[name]);
  }
  return feeds;
}

/** On a device nothing is written over what a run reads: the new tensors take the place of the old ones. */
function replaceState(results: Readonly<Record<string, Tensor>>): void {
  for (const [key, old] of state) {
    const next = results[nextState(key)];
    if (!next) continue;
    state.set(key, next);
    forget(old);
  }
}

function forget(tensor: Tensor | undefined): void {
  if (tensor?.location === 'gpu-buffer') tensor.dispose();
}

function count(tensor: Tensor): void {
  if (tensor.location === 'cpu' && ArrayBuffer.isView(tensor.data)) copiedBytes += tensor.data.byteLength;
}

function toTensor({ data, shape }: WireTensor): Tensor {
  if (data instanceof Float32Array) return new Tensor('float32', data, shape);
  return data instanceof Int32Array ? new Tensor('int32', data, shape) : new Tensor('int64', data, shape);
}

function floats(name: string, tensor: Tensor | undefined): Float32Array {
  if (!(tensor?.data instanceof Float32Array)) throw new Error(`${name} is not a float32 tensor`);
  return tensor.data;
}

const toWire = (name: string, tensor: Tensor | undefined): WireTensor => ({
  name,
  shape: tensor?.dims ?? [],
  data: floats(name, tensor).slice(),
});

async function readState(name: string): Promise<WireTensor> {
  const tensor = state.get(name);
  const wire = toWire(name, tensor && device ? await device.toHost(tensor) : tensor);
  if (tensor?.location === 'gpu-buffer') copiedBytes += wire.data.byteLength;
  return wire;
}

async function answer(request: Request): Promise<WireTensor[]> {
  switch (request.kind) {
    case 'open':
      await open(request.session, request.model, request.settings);
      return [];
    case 'setState':
      for (const tensor of request.tensors) {
        forget(state.get(tensor.name));
        state.set(tensor.name, toTensor(tensor));
      }
      plans.clear();
      return [];
    case 'run':
      return run(request.session, request.feeds, request.appendAt);
    case 'readState': {
      const read: WireTensor[] = [];
      for (const name of request.names) read.push(await readState(name));
      return read;
    }
    case 'close':
      for (const tensor of state.values()) forget(tensor);
      state.clear();
      await device?.release();
      for (const session of sessions.values()) await session.release();
      sessions.clear();
      return [];
  }
}

const port = parentPort;
if (!port) throw new Error('session-worker.ts runs as a worker thread');
let previous: Promise<void> = Promise.resolve();
port.on('message', ({ id, ...request }: Numbered<Request>) => {
  // One after the other, so that closing waits for the run before it.
  previous = previous
    .then(() => answer(request))
    .then(
      (tensors) => {
        // Closed, nothing listens any more and the thread ends by itself: killing it could catch the runtime in a call.
        // The owner takes the end as the answer.
        if (request.kind === 'close') return port.close();
        const reply: Reply = { id, tensors, copiedBytes };
        copiedBytes = 0;
        port.postMessage(
          reply,
          tensors.map(({ data }) => data.buffer as ArrayBuffer),
        );
      },
      (error: unknown) => {
        const reply: Reply = { id, error: error instanceof Error ? error.message : String(error) };
        port.postMessage(reply);
      },
    );
});
