import type { LoraTarget } from '@weft/shared';
import { loraTargets } from '@weft/shared';

/** One shape of work that every subject does, step by step. */
export interface BenchCase {
  readonly name: string;
  readonly batchSize: number;
  readonly sequenceLength: number;
  readonly targets: readonly LoraTarget[];
  /** Both sides compute layers again in the backward pass. */
  readonly checkpointing?: true;
}

const attention: readonly LoraTarget[] = ['q_proj', 'v_proj'];

/** The first is the one that memory, start and the peer's faster modes are measured with. */
export const cases: readonly [BenchCase, ...BenchCase[]] = [
  { name: '4x128-qv', batchSize: 4, sequenceLength: 128, targets: attention },
  { name: '4x128-all', batchSize: 4, sequenceLength: 128, targets: loraTargets },
  { name: '1x512-qv', batchSize: 1, sequenceLength: 512, targets: attention },
  { name: '1x2048-qv-checkpointing', batchSize: 1, sequenceLength: 2048, targets: attention, checkpointing: true },
];

/** What the losses of a base in fewer bits are compared on: text, in rows of which a step takes one. */
export const learningCase: BenchCase = { name: 'text', batchSize: 1, sequenceLength: 128, targets: attention };
export const learningSteps = 200;

/** Weft with its base in each of these; the first is what ratios in fp32 are taken of. */
export const weftSubjects = { weft: 'fp32', 'weft int8': 'int8', 'weft bf16': 'bf16', 'weft int4': 'int4' } as const;
export type WeftSubject = keyof typeof weftSubjects;
export const isWeft = (subject: string): subject is WeftSubject => Object.hasOwn(weftSubjects, subject);

export const lora = { rank: 8, alpha: 16 } as const;
export const learningRate = 1e-4;
export const clipGradNorm = 1;

export const tokensOf = ({ batchSize, sequenceLength }: BenchCase): number => batchSize * sequenceLength;

/** How PyTorch can be asked to do it; the first is what ratios in fp32 are taken of. */
export const torchModes = ['fp32', 'bf16-base', 'bf16-autocast-compile', 'bf16-base-compile', 'fp32-compile'] as const;
export type TorchMode = (typeof torchModes)[number];
