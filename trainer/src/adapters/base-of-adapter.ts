import { isSha256, WeftError } from '@weft/shared';
import type { Model } from '../models/model.ts';

/** Key of the metadata of adapter_model.safetensors, which PEFT reads past; PEFT's own files have none. */
const baseKey = 'weft.base_sha256';

/** Whether an adapter was trained on the model at hand, as far as it says on which it was. */
export type AdapterBase = 'same' | 'other' | 'unknown';

export const baseMetadata = ({ sha256 }: Pick<Model, 'sha256'>): Record<string, string> => ({ [baseKey]: sha256 });

/**
 * Compares by hash. Another model is refused, even one whose shapes fit, unless `anyBase` is set: the same weights in
 * another format have another hash.
 */
export function compareBase(
  metadata: Readonly<Record<string, string>>,
  baseName: string | undefined,
  model: Pick<Model, 'name' | 'sha256'>,
  anyBase: boolean,
): AdapterBase {
  const base = metadata[baseKey];
  if (base === undefined) return 'unknown';
  if (!isSha256(base)) throw new WeftError('WEFT_ADAPTER_CORRUPT', `${baseKey} is no SHA-256`, { key: baseKey });
  if (base === model.sha256) return 'same';
  if (anyBase) return 'other';
  const short = (sha256: string): string => `${sha256.slice(0, 12)}…`;
  throw new WeftError(
    'WEFT_ADAPTER_OTHER_BASE',
    `the adapter was trained on ${baseName || 'a model'} (${short(base)}), this model is ${model.name} (${short(model.sha256)})`,
    { adapterBase: base, model: model.sha256 },
  );
}
