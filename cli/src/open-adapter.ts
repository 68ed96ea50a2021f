import { loadAdapter, type LoadedAdapter, type Model } from '@weft/trainer';
import { sayWhichBase } from './say-which-base.ts';

/** An adapter for this model, with a warning where the adapter does not prove that it is. */
export const openAdapter = async (
  folder: string,
  model: Model,
  { anyBase }: { readonly anyBase?: true },
): Promise<LoadedAdapter> => {
  const { base, ...adapter } = await loadAdapter(folder, model, { anyBase });
  sayWhichBase(folder, model, base);
  return adapter;
};
