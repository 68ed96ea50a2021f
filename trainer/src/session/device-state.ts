/**
 * Tensors in the memory of a device. A tensor gets there and back through a graph that hands it on: to ask one of a
 * device for its data ends the process (onnxruntime-node 1.30).
 */
import { fromBinary } from '@bufbuild/protobuf';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { ModelProtoSchema } from '@weft/proto/onnx';
import { serialise } from '../graph/serialise.ts';
import { createGraph } from '../ops/table.ts';
import { nextState } from '../optim/adamw.ts';

type Place = 'cpu' | 'gpu-buffer';
type Open = (
  model: Uint8Array,
  options: Pick<InferenceSession.SessionOptions, 'preferredOutputLocation'>,
) => Promise<InferenceSession>;

export class DeviceState {
  readonly #open: Open;
  readonly #movers = new Map<string, Promise<InferenceSession>>();

  /** @param open how sessions on this device are created */
  constructor(open: Open) {
    this.#open = open;
  }

  /** A session whose new state stays on the device. */
  async open(model: Uint8Array): Promise<InferenceSession> {
    const outputs = fromBinary(ModelProtoSchema, model).graph?.output ?? [];
    const states = outputs.map(({ name }) => name).filter((name) => name.startsWith(nextState('')));
    const places = states.map((name): [string, Place] => [name, 'gpu-buffer']);
    return this.#open(model, { preferredOutputLocation: Object.fromEntries(places) });
  }

  /** The tensor itself where it is there already. */
  async toDevice(tensor: Tensor): Promise<Tensor> {
    return tensor.location === 'gpu-buffer' ? tensor : this.#move(tensor, 'gpu-buffer');
  }

  /** The tensor itself, or a copy of one that lies on the device. */
  async toHost(tensor: Tensor): Promise<Tensor> {
    return tensor.location === 'gpu-buffer' ? this.#move(tensor, 'cpu') : tensor;
  }

  async release(): Promise<void> {
    for (const mover of this.#movers.values()) await (await mover).release();
    this.#movers.clear();
  }

  async #move(tensor: Tensor, place: Place): Promise<Tensor> {
    const key = `${place} ${tensor.dims.join()}`;
    const mover = this.#movers.get(key) ?? this.#open(identity(tensor.dims), { preferredOutputLocation: place });
    this.#movers.set(key, mover);
    const moved = (await (await mover).run({ x: tensor }))['y'];
    if (!moved) throw new Error('a graph that hands a tensor on gave none');
    return moved;
  }
}

function identity(shape: readonly number[]): Uint8Array {
  const graph = createGraph();
  graph.output('y', graph.input('x', 'float32', shape));
  return serialise(graph, 'portable');
}
