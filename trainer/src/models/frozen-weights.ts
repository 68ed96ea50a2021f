import { realpathSync } from 'node:fs';
import path from 'node:path';
import type { Graph } from '../graph/graph.ts';
import type { ElementType, TensorType, Value } from '../graph/types.ts';
import type { BlockTensors } from '../weights/blocks/block-tensor.ts';
import type { LlamaParameters } from './llama.ts';
import type { TensorDtype, TensorRef } from '../weights/tensor-ref.ts';

const elementTypes: Readonly<Record<TensorDtype, ElementType>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

/** Weights that a graph reads where they lie, inside the model's own files. */
export interface FrozenWeights {
  /** Folder that all files lie below: the session must be told. */
  readonly folder: string;
  /** Adds the weight to the graph as an initializer without data. */
  add(graph: Graph, name: string): Value;
  /** The same for a part of a matrix in blocks, under a name of the caller's. */
  addPart(graph: Graph, name: string, type: TensorType, part: Window): Value;
  /** What is done with matrices that are held otherwise. */
  matrices?(graph: Graph): Pick<LlamaParameters, 'product' | 'rows' | 'headLoss'>;
}

type Window = Pick<TensorRef, 'file' | 'offset' | 'sizeBytes'>;

export function frozenWeights(
  tensors: ReadonlyMap<string, TensorRef>,
  blocks: BlockTensors = new Map(),
): FrozenWeights {
  // A downloaded model's files may be links into a store of blobs; the runtime refuses to follow them out of the folder.
  const named = [...tensors.values(), ...[...blocks.values()].map(({ codes }) => codes)].map(({ file }) => file);
  const files = new Map([...new Set(named)].map((file) => [file, realpathSync(file)]));
  const folder = commonFolder([...files.values()]);
  const known = new WeakMap<Graph, Map<string, Value>>();
  const addPart: FrozenWeights['addPart'] = (graph, name, type, { file: at, offset, sizeBytes }) => {
    const values = known.get(graph) ?? new Map<string, Value>();
    known.set(graph, values);
    const file = files.get(at);
    if (!file) throw new RangeError(`${name} lies in a file that is none of the model's`);
    const location = path.relative(folder, file).split(path.sep).join('/');
    const value = values.get(name) ?? graph.weight(name, type, { location, offset, sizeBytes });
    values.set(name, value);
    return value;
  };
  return {
    folder,
    addPart,
    add(graph, name) {
      const tensor = tensors.get(name);
      if (!tensor) throw new RangeError(`the model has no tensor ${name}`);
      return addPart(graph, name, { dtype: elementTypes[tensor.dtype], shape: tensor.shape }, tensor);
    },
  };
}

/** The deepest folder that holds all files. */
export function commonFolder(files: readonly string[]): string {
  const folders = files.map((file) => path.dirname(file));
  let common = folders[0] ?? path.parse(process.cwd()).root;
  while (folders.some((folder) => path.relative(common, folder).split(path.sep)[0] === '..'))
    common = path.dirname(common);
  return common;
}
