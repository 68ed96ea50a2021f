import { realpathSync } from 'node:fs';
import path from 'node:path';
import type { Graph } from '../graph/graph.ts';
import type { ElementType, Value } from '../graph/types.ts';
import type { TensorDtype, TensorRef } from '../weights/tensor-ref.ts';

const elementTypes: Readonly<Record<TensorDtype, ElementType>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

/** Weights that a graph reads where they lie, inside the model's own files. */
export interface FrozenWeights {
  /** Folder that all files lie below: the session must be told. */
  readonly folder: string;
  /** Adds the weight to the graph as an initializer without data. */
  add(graph: Graph, name: string): Value;
}

export function frozenWeights(tensors: ReadonlyMap<string, TensorRef>): FrozenWeights {
  // A downloaded model's files may be links into a store of blobs; the runtime refuses to follow them out of the folder.
  const files = new Map(
    [...new Set([...tensors.values()].map(({ file }) => file))].map((file) => [file, realpathSync(file)]),
  );
  const folder = commonFolder([...files.values()]);
  const known = new WeakMap<Graph, Map<string, Value>>();
  return {
    folder,
    add(graph, name) {
      const values = known.get(graph) ?? new Map<string, Value>();
      known.set(graph, values);
      const tensor = tensors.get(name);
      const file = tensor && files.get(tensor.file);
      if (!tensor || !file) throw new RangeError(`the model has no tensor ${name}`);
      const { dtype, shape, offset, sizeBytes } = tensor;
      const location = path.relative(folder, file).split(path.sep).join('/');
      const value =
        values.get(name) ?? graph.weight(name, { dtype: elementTypes[dtype], shape }, { location, offset, sizeBytes });
      values.set(name, value);
      return value;
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
