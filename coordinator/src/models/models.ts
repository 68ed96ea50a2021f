import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { WeftError, type Sha256 } from '@weft/shared';
import { modelFiles, openModel } from '@weft/trainer';
import type { EventData } from '../store/events.ts';
import type { Store } from '../store/store.ts';

/** A base model as the coordinator offers it: its files stay where they are. */
export type RegisteredModel = EventData<'model.registered'>;

export interface Models {
  /** Checks the whole model; the same model again moves it to the new path. @throws the catalogue's model errors */
  register(path: string): Promise<RegisteredModel>;
  /** @throws WEFT_MODEL_NOT_REGISTERED */
  get(sha256: Sha256): RegisteredModel;
  list(): readonly RegisteredModel[];
  /** A file of the model by its hash. @throws WEFT_MODEL_NOT_REGISTERED where it is no longer there */
  file(model: Sha256, sha256: Sha256): Promise<{ path: string; sizeBytes: number } | undefined>;
}

export function createModels({ store, cacheDir }: { store: Store; cacheDir?: string }): Models {
  const models = new Map<Sha256, RegisteredModel>();
  for (const { data } of store.read({ kinds: ['model.registered'] })) models.set(data.sha256, data);
  return {
    async register(place) {
      const path = resolve(place);
      const { name, sha256, config } = await openModel(path, { cacheDir });
      const known = models.get(sha256);
      if (known?.path === path && (await unchanged(known))) return known;
      const { layers, hiddenSize, intermediateSize, heads, kvHeads, headDim } = config;
      const model = {
        name,
        sha256,
        path,
        files: await modelFiles(path),
        dimensions: { layers, hiddenSize, intermediateSize, heads, kvHeads, headDim },
      };
      store.append({ kind: 'model.registered', data: model });
      models.set(sha256, model);
      return model;
    },
    get(sha256) {
      const model = models.get(sha256);
      if (model === undefined)
        throw new WeftError('WEFT_MODEL_NOT_REGISTERED', `no base model with hash ${sha256} is registered here`);
      return model;
    },
    list: () => [...models.values()],
    async file(model, sha256) {
      const entry = models.get(model)?.files.find((file) => file.sha256 === sha256);
      if (entry === undefined) return undefined;
      // If it has the old size and other bytes, its hash does not hold at the node.
      if ((await sizeOf(entry.file)) !== entry.sizeBytes) {
        throw new WeftError(
          'WEFT_MODEL_NOT_REGISTERED',
          `${entry.name} of base model ${model} is no longer what was registered`,
          { file: entry.file },
        );
      }
      return { path: entry.file, sizeBytes: entry.sizeBytes };
    },
  };
}

const unchanged = async ({ files }: RegisteredModel): Promise<boolean> => {
  const sizes = await Promise.all(files.map(({ file }) => sizeOf(file)));
  return files.every(({ sizeBytes }, i) => sizeBytes === sizes[i]);
};

const sizeOf = (file: string): Promise<number> =>
  stat(file).then(
    ({ size }) => size,
    () => -1,
  );
