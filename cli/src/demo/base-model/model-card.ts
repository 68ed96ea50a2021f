import { describeSource, documentSources } from './documents.ts';
import { architecture, baseModelName, training } from './recipe.ts';
import { baseLocales } from './text.ts';
import { demoLocales } from '../recipe.ts';

/** What a run measured; the rest of the card is the recipe. */
export interface Measurements {
  readonly sha256: string;
  readonly textSha256: string;
  readonly texts: number;
  readonly tokens: number;
  readonly parameters: number;
  readonly lastLosses: { readonly steps: number; readonly meanLoss: number };
  /** Mean nats a token and characters a token on the held-out messages, by language. */
  readonly heldOut: ReadonlyMap<string, { readonly loss: number; readonly charactersPerToken: number }>;
}

const group = (value: number): string => value.toLocaleString('en');

export function renderModelCard({
  sha256,
  textSha256,
  texts,
  tokens,
  parameters,
  lastLosses,
  heldOut,
}: Measurements): string {
  const seen = [...heldOut].filter(([locale]) => baseLocales.some((known) => known === locale));
  const unseen = [...heldOut].filter(([locale]) => !baseLocales.some((known) => known === locale));
  const row = ([locale, { loss, charactersPerToken }]: (typeof seen)[number]) =>
    `| ${locale} | ${loss.toFixed(3)} | ${charactersPerToken.toFixed(2)} |`;
  const { learningRate, warmupSteps, weightDecay, clipGradNorm, steps, batchSize, sequenceLength, seed } = training;
  return `---
license: apache-2.0
language: [en, ${baseLocales.join(', ')}]
pipeline_tag: text-generation
---
# ${baseModelName}

A Llama of ${group(parameters)} parameters (fp32) that comes with Weft, so that \`demo\` needs no download. It knows compiler
messages in ${baseLocales.length + 1} languages and hardly anything else; it is there to be fine-tuned in a few seconds, not to be talked to.

- Model hash (\`weft model show\`): \`${sha256}\`
- Shape: hidden ${architecture.hiddenSize}, ${architecture.layers} layers, ${architecture.heads} heads and ${architecture.kvHeads} key-value heads of ${architecture.headDim}, MLP ${architecture.intermediateSize}, vocabulary ${group(architecture.vocabSize)}
  (byte-level BPE), input and output embeddings tied, ${architecture.maxPositions} positions.

## How it was made

\`\`\`
npx -y pnpm@12.21.0 model:train
\`\`\`

trains the tokenizer and the model from nothing with Weft's own trainer on the CPU and writes this folder, this card included. The same
text on the same kind of machine gives the same bytes. ${group(steps)} steps of ${batchSize} rows of ${sequenceLength} tokens (${group(steps * batchSize * sequenceLength)} in all, ${((steps * batchSize * sequenceLength) / tokens).toFixed(1)} times
through the text), AdamW (β 0.9 and 0.999, ε 1e-8), rate ${learningRate} after ${warmupSteps} steps of warm-up, then half a cosine to zero, weight decay ${weightDecay},
gradient norm at most ${clipGradNorm}, seed ${seed}. Mean training loss over the last ${lastLosses.steps} steps: ${lastLosses.meanLoss.toFixed(3)} nats a token.

## Text

${group(texts)} texts, ${group(tokens)} tokens, SHA-256 \`${textSha256}\`, all from npm packages of the lock file:

| package | licence | what |
| --- | --- | --- |
| typescript 5.9.3 | Apache-2.0 | compiler messages in English and in ${baseLocales.join(', ')} |
${documentSources.map((source) => `| ${source.package} ${describeSource(source).version} | ${source.licence} | prose of its documentation, in English |`).join('\n')}

Not in the text: any message in the demo's languages (${demoLocales.join(', ')}) or in Czech, which is near to Polish; and, in every language, the
tenth of the messages that is held out by a hash of its key.

## Held-out loss

| language | nats a token | characters a token |
| --- | --- | --- |
${seen.map(row).join('\n')}

Languages that it has not seen:

| language | nats a token | characters a token |
| --- | --- | --- |
${unseen.map(row).join('\n')}

## Limits and licence

It repeats the wording of compiler messages and states no facts; do not use it for anything but trials of training. Apache-2.0, like Weft;
the texts keep the licences above.
`;
}
