import { WeftError } from '@weft/shared';
import type { ModelConfig } from '../models/model.ts';

/** Beyond any published model; a configuration is untrusted, and graphs are built from these numbers. */
const limits = {
  hiddenSize: 65_536,
  intermediateSize: 524_288,
  layers: 512,
  heads: 1_024,
  kvHeads: 1_024,
  headDim: 1_024,
  vocabSize: 1_000_000,
  maxPositions: 100_000_000,
} as const;

/** What must hold between a Llama's numbers before a graph is built from them. */
export function checkConfig(config: ModelConfig): ModelConfig {
  for (const [name, limit] of Object.entries(limits) as [keyof typeof limits, number][]) {
    if (config[name] > limit)
      throw new WeftError('WEFT_MODEL_LIMIT', `${name} is ${config[name]}, the limit is ${limit}`, {
        limit: `config.${name}`,
        actual: config[name],
      });
  }
  if (config.heads % config.kvHeads !== 0)
    throw new WeftError(
      'WEFT_MODEL_CORRUPT',
      `${config.heads} query heads do not divide among ${config.kvHeads} key-value heads`,
    );
  if (config.headDim % 2 !== 0)
    throw new WeftError(
      'WEFT_MODEL_CORRUPT',
      `a head has ${config.headDim} dimensions; rotary embedding turns them in pairs`,
    );
  return config;
}
