import { stat } from 'node:fs/promises';
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
}

export function createModels({ store, cacheDir }: { store: Store; cacheDir?: string }): Models {
  const models = new Map<Sha256, RegisteredModel>();
  for (const { data } of store.read({ kinds: ['model.registered'] })) models.set(data.sha256, data);
  return {
    async register(path) {
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
      if (model === undefined) throw new WeftError('WEFT_MODEL_NOT_REGISTERED', `no base model with hash ${sha256} is registered here`);
      return model;
    },
    list: () => [...models.values()],
  };
}

const unchanged = async (model: RegisteredModel): Promise<boolean> => {
  const sizes = await Promise.all(model.files.map(({ file }) => stat(file).then(({ size }) => size, () => -1)));
  return model.files.every(({ sizeBytes }, i) => sizeBytes === sizes[i]);
};
