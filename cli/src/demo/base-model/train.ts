/** `pnpm model:train`: makes the bundled base model from nothing. */
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  createRecord,
  encodeRecords,
  evaluate,
  initWeights,
  openModel,
  trainFull,
  type Example,
  type Model,
  type Tokenizer,
} from '@weft/trainer';
import { heldOutMessages, locales } from '../corpus.ts';
import { renderModelCard, type Measurements } from './model-card.ts';
import { writeConfig, writeTokenizer, writeWeights } from './model-files.ts';
import { architecture, baseModelName, training } from './recipe.ts';
import { hashText, readBaseText } from './text.ts';

const bundled = fileURLToPath(new URL(`../../../../models/${baseModelName}`, import.meta.url));
const { values: flags } = parseArgs({
  options: { out: { type: 'string', default: bundled }, steps: { type: 'string', default: `${training.steps}` } },
});
const say = (line: string) => process.stdout.write(`${line}\n`);

const parts = readBaseText();
const texts = parts.flatMap((part) => part.texts);
const textSha256 = hashText(parts);
say(`${texts.length} texts from ${parts.length} sources, SHA-256 ${textSha256}`);

await mkdir(flags.out, { recursive: true });
await writeConfig(flags.out);
await writeTokenizer(flags.out, texts);
const initial = initWeights(architecture, training.seed);
await writeWeights(flags.out, initial);
const untrained = await openModel(flags.out);

// a row holds one source, so that the model learns to stay in the language that a row began with
const examples = parts.flatMap((part) => encodeTexts(part.texts, untrained.tokenizer));
const tokens = examples.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
const steps = Number(flags.steps);
say(`${tokens} tokens; ${steps} steps of ${training.batchSize}×${training.sequenceLength}`);

const { weights, lastLosses } = await trainModel(examples);
await writeWeights(flags.out, weights);
const model = await openModel(flags.out);
const parameters = [...weights.values()].reduce((sum, { length }) => sum + length, 0);
const heldOut = await measure(model);
await writeFile(
  `${flags.out}/README.md`,
  renderModelCard({ sha256: model.sha256, textSha256, texts: texts.length, tokens, parameters, lastLosses, heldOut }),
);
say(`${flags.out}: ${model.sha256}`);

function encodeTexts(sources: readonly string[], tokenizer: Tokenizer): Example[] {
  const records = sources.map((text, line) =>
    createRecord({ kind: 'text', text }, { file: 'base text', line: line + 1 }),
  );
  return encodeRecords(records, tokenizer, { sequenceLength: training.sequenceLength, shortText: 'keep' }).examples;
}

async function trainModel(
  rows: readonly Example[],
): Promise<{ weights: ReadonlyMap<string, Float32Array>; lastLosses: Measurements['lastLosses'] }> {
  const every = 25;
  const started = performance.now();
  const losses: number[] = [];
  const run = trainFull({ ...training, steps, config: architecture, weights: initial, examples: rows });
  for (;;) {
    const next = await run.next();
    const recent = losses.slice(-every);
    const lastMean = recent.reduce((sum, loss) => sum + loss, 0) / recent.length;
    if (next.done) return { weights: next.value.weights, lastLosses: { steps: recent.length, meanLoss: lastMean } };
    losses.push(next.value.loss);
    if (next.value.step % every !== 0) continue;
    const minutesLeft = ((performance.now() - started) / 60_000 / next.value.step) * (steps - next.value.step);
    say(
      `step ${next.value.step}  loss ${lastMean.toFixed(4)}  ${Math.round(next.value.tokensPerSecond)} tokens/s  ${minutesLeft.toFixed(1)} min left`,
    );
  }
}

async function measure(trained: Model): Promise<Measurements['heldOut']> {
  const measured = new Map<string, { loss: number; charactersPerToken: number }>();
  for (const locale of locales) {
    const messages = heldOutMessages(locale).map(({ text }) => text);
    const rows = encodeTexts(messages, trained.tokenizer);
    const { lossSum, tokens: counted } = await evaluate({
      model: trained,
      examples: rows,
      batchSize: training.batchSize,
    });
    const rowTokens = rows.reduce((sum, { inputIds }) => sum + inputIds.length, 0) - messages.length;
    measured.set(locale, { loss: lossSum / counted, charactersPerToken: messages.join('').length / rowTokens });
    say(`${locale}  ${(lossSum / counted).toFixed(3)}`);
  }
  return measured;
}
