import type { AdapterLayout, Sha256 } from '@weft/shared';
import type { TrainingRecord } from '../adapters/training-record.ts';
import { loadingNotes } from './loading-notes.ts';

export interface OriginAdapter {
  /** Of adapter_model.safetensors. */
  readonly sha256: Sha256;
  readonly layout: AdapterLayout;
  readonly training?: TrainingRecord | undefined;
}

/** Where an exported model comes from. */
export interface Origin {
  readonly baseName: string;
  readonly baseSha256: Sha256;
  /** In the hub's short form. */
  readonly licence?: string | undefined;
  /** Absent where the base alone was put into another format. */
  readonly adapter?: OriginAdapter | undefined;
  /** The command that made it, to be repeated. */
  readonly command: string;
}

/** The same for formats that have metadata: what was merged with what. */
export const originEntries = ({ baseSha256, adapter }: Origin): Readonly<Record<string, string>> => ({
  'weft.base_sha256': baseSha256,
  ...(adapter && { 'weft.adapter_sha256': adapter.sha256 }),
});

/** What an export is: an adapter in PEFT's or llama.cpp's layout, or a whole model in one of three. */
export type ExportKind = 'peft' | 'safetensors' | 'onnx' | 'gguf' | 'gguf-lora';

const libraries: Readonly<Record<ExportKind, string>> = {
  peft: 'peft',
  safetensors: 'transformers',
  onnx: 'onnx',
  gguf: 'gguf',
  'gguf-lora': 'gguf',
};

/**
 * README.md with the front matter that the Hugging Face hub reads.
 * @param file the name of what was written, as a reader sees it
 */
export function modelCard(origin: Origin, kind: ExportKind, file: string): string {
  const { adapter, licence } = origin;
  const name = oneLine(origin.baseName);
  const merged = adapter
    ? ' with a LoRA adapter merged into its weights: W + (alpha / rank)·B·A, summed in float64'
    : '';
  const what: Readonly<Record<ExportKind, string>> = {
    peft: `A LoRA adapter for ${name}, in the layout of PEFT.`,
    safetensors: `${name}${merged}.`,
    onnx: `${name}${merged}, as ONNX.`,
    gguf: `${name}${merged}, as GGUF.`,
    'gguf-lora': `A LoRA adapter for ${name}, as GGUF.`,
  };
  const lines = [
    `Base model: ${name}, SHA-256 \`${origin.baseSha256}\``,
    ...(licence === undefined ? [] : [`Licence of the base model: ${licence}`]),
    ...(adapter ? adapterLines(adapter) : []),
    `Command: \`${oneLine(origin.command)}\``,
  ];
  return `---
${licence === undefined ? '' : `license: ${licence}\n`}library_name: ${libraries[kind]}
pipeline_tag: text-generation
tags: [weft, ${adapter ? 'lora' : 'converted'}]
---
# ${name}${adapter ? ', fine-tuned' : ''}

${what[kind]} Made with Weft.

${lines.map((line) => `- ${line}\n`).join('')}
The base model's licence and limits hold for this one too.${adapter ? ' Say here on what text it was trained.' : ''}

## Use
${loadingNotes(kind, oneLine(file))}`;
}

const adapterLines = ({ sha256, layout, training }: OriginAdapter): string[] => [
  `Adapter: SHA-256 of adapter_model.safetensors \`${sha256}\``,
  `LoRA: rank ${layout.rank}, alpha ${layout.alpha}, on ${layout.targets.join(', ')}`,
  ...(training ? trainingLines(training) : []),
];

/** Flags that name a computer, not a training. */
const ofMachine = ['--threads', '--device'];

const trainingLines = ({ options, examples, data, firstLoss, lastLoss }: TrainingRecord): string[] => [
  `Training: AdamW on ${examples} sequences of tokens (SHA-256 \`${data}\`), loss ${firstLoss.toFixed(3)} at the first step, ${lastLoss.toFixed(3)} at the last`,
  `Options: \`${oneLine(
    Object.entries(options)
      .filter(([flag]) => !ofMachine.includes(flag))
      .map(([flag, value]) => `${flag} ${value}`)
      .join(' '),
  )}\``,
];

/** A name comes from a file: it must not open a paragraph, a tag or code of its own. */
const oneLine = (text: string): string => text.replaceAll(/[\s`<>[\]]+/g, ' ').trim();
