import { loraTargets, type RunSpecInput } from '@weft/shared';
import type { Locale } from './corpus.ts';

/** The languages of the demo's three nodes; the base model has seen none of them. */
export const demoLocales = ['tr', 'pl', 'ko'] as const satisfies readonly Locale[];

/** How a demo's federation trains: a part of its run spec, and how much of the public held-out text is scored. */
export interface DemoRecipe {
  readonly rounds: number;
  /** What a slow machine may lower `rounds` to; even, so that RoLoRA trains both factors. */
  readonly fewestRounds: number;
  /** The demo is made to end within it. */
  readonly limitSeconds: number;
  readonly adapter: NonNullable<RunSpecInput['adapter']>;
  /** Steps are those of one round at one node; rows are full, since short texts are packed. */
  readonly training: RunSpecInput['training'] & { readonly batchSize: number; readonly sequenceLength: number };
  readonly aggregation: RunSpecInput['aggregation'];
  /** Messages a language that each adapter is scored on at the end; the same keys in every language. */
  readonly heldOutMessages: number;
}

/**
 * For the bundled base model: under three minutes on two cores. What was tried on it: small batches and many short rounds
 * learn most from a given number of tokens; a server rate of 1.5 makes up for averaging three updates that hardly overlap,
 * 2 brings no more, and at 3 the run diverges. A rate of 0.005 keeps a node's update below the clip norm (L2 of 4 to 7).
 */
export const bundledModelRecipe: DemoRecipe = {
  rounds: 12,
  fewestRounds: 4,
  limitSeconds: 150,
  adapter: { rank: 16, alpha: 32, targets: [...loraTargets], schedule: 'rolora' },
  training: { learningRate: 5e-3, schedule: 'linear', steps: 16, batchSize: 8, sequenceLength: 64 },
  // languages count alike: one whose script the tokenizer does not know has more rows, not more to say
  aggregation: {
    mode: 'secure',
    clipNormL2: 10,
    weighting: 'uniform',
    server: { optimizer: 'fedavg', learningRate: 1.5 },
  },
  heldOutMessages: 100,
};

/**
 * For a real open-weight model of some hundred million parameters: under fifteen minutes on two cores. On
 * SmolLM2-135M these 6,144 tokens a node take a nat and more off Turkish and Polish and nearly one off Korean, whose
 * tokens are bytes.
 */
export const givenModelRecipe: DemoRecipe = {
  rounds: 4,
  fewestRounds: 2,
  limitSeconds: 780,
  adapter: { rank: 8, alpha: 16, targets: [...loraTargets], schedule: 'rolora' },
  training: { learningRate: 2e-3, schedule: 'linear', steps: 6, batchSize: 4, sequenceLength: 64 },
  aggregation: {
    mode: 'secure',
    clipNormL2: 10,
    weighting: 'uniform',
    server: { optimizer: 'fedavg', learningRate: 1.5 },
  },
  heldOutMessages: 20,
};
