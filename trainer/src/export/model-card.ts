import type { AdapterLayout, Sha256 } from '@weft/shared';

export interface OriginAdapter {
  /** Of adapter_model.safetensors. */
  readonly sha256: Sha256;
  readonly layout: AdapterLayout;
}

/** Where an exported model comes from. */
export interface Origin {
  readonly baseName: string;
  readonly baseSha256: Sha256;
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

/** README.md with the front matter that the Hugging Face hub reads. */
export function modelCard(origin: Origin, kind: 'adapter' | 'merged' | 'onnx'): string {
  const { adapter } = origin;
  const name = oneLine(origin.baseName);
  const merged = adapter
    ? ' with a LoRA adapter merged into its weights: W + (alpha / rank)·B·A, summed in float64'
    : '';
  const what = {
    adapter: `A LoRA adapter for ${name}, in the layout of PEFT.`,
    merged: `${name}${merged}.`,
    onnx: `${name}${merged}, as ONNX.`,
  }[kind];
  return `---
library_name: ${{ adapter: 'peft', merged: 'transformers', onnx: 'onnx' }[kind]}
pipeline_tag: text-generation
tags: [weft, ${adapter ? 'lora' : 'converted'}]
---
# ${name}${adapter ? ', fine-tuned' : ''}

${what} Made with Weft.

- Base model: ${name}, SHA-256 \`${origin.baseSha256}\`
${adapter ? adapterLines(adapter) : ''}- Command: \`${oneLine(origin.command)}\`

The base model's licence and limits hold for this one too. Say here on what text it was trained.
`;
}

const adapterLines = ({ sha256, layout }: OriginAdapter): string => `\
- Adapter: SHA-256 of adapter_model.safetensors \`${sha256}\`
- LoRA: rank ${layout.rank}, alpha ${layout.alpha}, on ${layout.targets.join(', ')}
`;

/** A name comes from a file: it must not open a paragraph, a tag or code of its own. */
const oneLine = (text: string): string => text.replaceAll(/[\s`<>[\]]+/g, ' ').trim();
