import type { AdapterLayout, Sha256 } from '@weft/shared';

/** Where an exported model comes from. */
export interface Origin {
  readonly baseName: string;
  readonly baseSha256: Sha256;
  /** Of adapter_model.safetensors. */
  readonly adapterSha256: Sha256;
  readonly layout: AdapterLayout;
  /** The command that made it, to be repeated. */
  readonly command: string;
}

/** README.md with the front matter that the Hugging Face hub reads. */
export function modelCard(origin: Origin, kind: 'adapter' | 'merged'): string {
  const { layout } = origin;
  const name = oneLine(origin.baseName);
  const what =
    kind === 'merged'
      ? `${name} with a LoRA adapter merged into its weights: W + (alpha / rank)·B·A, summed in float64.`
      : `A LoRA adapter for ${name}, in the layout of PEFT.`;
  return `---
library_name: ${kind === 'merged' ? 'transformers' : 'peft'}
pipeline_tag: text-generation
tags: [weft, lora]
---
# ${name}, fine-tuned

${what} Made with Weft.

- Base model: ${name}, SHA-256 \`${origin.baseSha256}\`
- Adapter: SHA-256 of adapter_model.safetensors \`${origin.adapterSha256}\`
- LoRA: rank ${layout.rank}, alpha ${layout.alpha}, on ${layout.targets.join(', ')}
- Command: \`${oneLine(origin.command)}\`

The base model's licence and limits hold for this one too. Say here on what text it was trained.
`;
}

/** A name comes from a file: it must not open a paragraph, a tag or code of its own. */
const oneLine = (text: string): string => text.replaceAll(/[\s`<>[\]]+/g, ' ').trim();
