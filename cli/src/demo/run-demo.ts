import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createLocalData, type LocalExamples } from '@weft/node-agent';
import {
  createAdapterLayout,
  type NodeId,
  parseRunSpec,
  privacyNotice,
  type RunId,
  type RunSpec,
  type RunSpecInput,
} from '@weft/shared';
import { encodeRecords, evaluate, type Example, loadAdapter, type Model, openModel, readRecords } from '@weft/trainer';
import type { Progress } from '../progress.ts';
import { type Locale, writeHeldOutData, writeNodeData } from './corpus.ts';
import type { DemoNode, DemoReport, LanguageLosses } from './demo-report.ts';
import { type DemoWork, estimateDemo, fitRecipe, measureForward } from './estimate.ts';
import { type FederationOutcome, runFederation } from './federation-processes.ts';
import { inParallel } from './in-parallel.ts';
import { trainLocalAdapter } from './local-adapters.ts';
import { createNodeBars } from './node-bars.ts';
import { demoLocales, type DemoRecipe } from './recipe.ts';
import { languageName } from './report.ts';

export interface DemoOptions {
  readonly modelPath: string;
  readonly recipe: DemoRecipe;
  /** Where the federated adapter goes, in PEFT layout. */
  readonly out: string;
  /** Keeps homes, data and logs in this folder; without it they are removed. */
  readonly keep?: string | undefined;
  /** Where GGUF files are unpacked. */
  readonly cacheDir?: string | undefined;
  readonly threads: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** A language of the demo: the node that holds its text, and what every adapter is scored on. */
interface Language {
  readonly tag: Locale;
  readonly node: string;
  readonly dataFile: string;
  readonly heldOut: readonly Example[];
}

/**
 * A federation of three nodes on this machine, next to what each node reaches alone. All text is real; nobody trains
 * on the held-out messages.
 */
export async function runDemo(options: DemoOptions): Promise<DemoReport> {
  const started = performance.now();
  const folder = options.keep === undefined ? await mkdtemp(join(tmpdir(), 'weft-demo-')) : resolve(options.keep);
  try {
    const { progress, threads, signal } = options;
    const model = await openModel(options.modelPath, {
      signal,
      ...(options.cacheDir !== undefined && { cacheDir: options.cacheDir }),
    });
    progress.log(privacyNotice);
    const languages = await Promise.all(demoLocales.map((tag) => prepareLanguage(folder, tag, model, options.recipe)));
    const recipe = await fitToMachine(options, model, languages);
    const spec = demoSpec(model, recipe);
    const outcome = await runFederation({
      folder,
      modelPath: resolve(options.modelPath),
      cacheDir: options.cacheDir === undefined ? undefined : resolve(options.cacheDir),
      spec,
      nodes: languages.map(({ node, dataFile }) => ({ name: node, dataFile })),
      threadsPerNode: Math.max(1, Math.floor(threads / languages.length)),
      onCommand: (line) => progress.log(`$ ${line}`),
      onNodeEvent: createNodeBars(progress, {
        nodes: languages.map(({ node }) => node),
        rounds: recipe.rounds,
        stepsPerRound: recipe.training.steps,
      }),
      signal,
    });
    await cp(outcome.adapterFolder, resolve(options.out), { recursive: true });
    const locals = await trainAlone(options, model, parseRunSpec(spec), outcome, languages);
    const federated = await loadAdapter(outcome.adapterFolder, model);
    const scores = await scoreAll(options, model, federated.layout, languages, [
      undefined,
      federated.adapter,
      ...locals.map(({ adapter }) => adapter),
    ]);
    const { run } = outcome;
    const sum = (kind: 'training' | 'transfer' | 'aggregation'): number =>
      run.roundsDone.reduce((total, { seconds }) => total + seconds[kind], 0);
    return {
      model: { name: model.name, sha256: model.sha256 },
      rounds: run.rounds,
      languages: Object.fromEntries(languages.map(({ tag }, index) => [tag, lossesOf(scores[index]!, languages)])),
      nodes: languages.map((language, index) => nodeOf(language, outcome, locals[index]!.examples.length)),
      seconds: {
        training: sum('training'),
        transfer: sum('transfer'),
        aggregation: sum('aggregation'),
        total: (performance.now() - started) / 1000,
      },
      adapter: { path: resolve(options.out), sha256: run.adapterSha256 ?? '' },
    };
  } finally {
    if (options.keep === undefined) await rm(folder, { recursive: true, force: true });
  }
}

async function prepareLanguage(
  folder: string,
  tag: Locale,
  model: Model,
  { training, heldOutMessages }: DemoRecipe,
): Promise<Language> {
  const data = await writeNodeData(join(folder, 'data'), tag);
  const heldOut = await writeHeldOutData(join(folder, 'data'), tag);
  const records = (await readRecords([heldOut.file])).slice(0, heldOutMessages);
  const { examples } = encodeRecords(records, model.tokenizer, {
    sequenceLength: training.sequenceLength,
    vocabSize: model.config.vocabSize,
    shortText: 'keep',
  });
  return { tag, node: languageName(tag).toLowerCase(), dataFile: data.file, heldOut: examples };
}

/** Says what the demo will take before it begins, and takes fewer rounds where the machine is slow. */
async function fitToMachine(
  { recipe, threads, progress, signal }: DemoOptions,
  model: Model,
  languages: readonly Language[],
): Promise<DemoRecipe> {
  const heldOut = languages.flatMap((language) => language.heldOut);
  const rows = heldOut.filter(({ inputIds }) => inputIds.length === recipe.training.sequenceLength).slice(0, 4);
  const work: DemoWork = {
    nodes: languages.length,
    heldOutTokens: heldOut.reduce((sum, { inputIds }) => sum + inputIds.length, 0),
    forwardTokensPerSecond: await measureForward(model, rows.length > 0 ? rows : heldOut.slice(0, 4), threads, signal),
  };
  const fitted = fitRecipe(recipe, work, recipe.limitSeconds);
  const { totalSeconds, trainingSeconds, scoringSeconds } = estimateDemo(fitted, work);
  const { steps, batchSize, sequenceLength } = fitted.training;
  progress.log(
    `${model.name}: ${fitted.rounds} rounds of ${steps} steps at ${languages.length} nodes, ${batchSize} rows of ${sequenceLength} tokens a step; ` +
      `scored on ${work.heldOutTokens} held-out tokens`,
  );
  progress.log(
    `estimate: ${duration(totalSeconds)} (training, federated and alone, ${duration(trainingSeconds)}; scoring ${duration(scoringSeconds)}), ` +
      `from ${work.forwardTokensPerSecond.toFixed(0)} tokens/s forward on ${threads} threads`,
  );
  return fitted;
}

const duration = (seconds: number): string =>
  seconds < 90 ? `${seconds.toFixed(0)} s` : `${(seconds / 60).toFixed(1)} min`;

const demoSpec = (model: Model, { rounds, adapter, training, aggregation }: DemoRecipe): RunSpecInput => ({
  name: 'demo',
  baseModel: { name: model.name, sha256: model.sha256 },
  adapter,
  training,
  cohort: { minimum: demoLocales.length, maximum: demoLocales.length, quorum: 1 },
  aggregation,
  // the nodes let no loss leave: each adapter is scored below, on text that is public
  evaluation: { heldOutShare: 0 },
  rounds,
  seed: 1,
});

interface LocalAdapter {
  readonly adapter: Float32Array;
  readonly examples: LocalExamples['training'];
}

async function trainAlone(
  options: DemoOptions,
  model: Model,
  spec: RunSpec,
  outcome: FederationOutcome,
  languages: readonly Language[],
): Promise<LocalAdapter[]> {
  const { progress, threads, signal } = options;
  const layout = createAdapterLayout(model.config, spec.adapter);
  const steps = spec.rounds * spec.training.steps;
  const parallel = Math.min(threads, languages.length);
  return inParallel(languages, parallel, async ({ node, dataFile }, index) => {
    const { training: examples } = await createLocalData(await readRecords([dataFile])).examples(model, spec);
    const bar = progress.bar(`${node} alone`, steps);
    const adapter = await trainLocalAdapter(
      { nodeId: outcome.nodes[index]!.nodeId as NodeId, examples },
      {
        spec,
        runId: outcome.run.id as RunId,
        model,
        layout,
        threads: Math.max(1, Math.floor(threads / parallel)),
        signal,
        onStep: (done, loss) => bar.update(done, `loss ${loss.toFixed(2)}`),
      },
    );
    bar.finish('done');
    return { adapter, examples };
  });
}

/** @returns losses by language, then by adapter; without an adapter the base model is scored */
async function scoreAll(
  { progress, threads, signal }: DemoOptions,
  model: Model,
  layout: ReturnType<typeof createAdapterLayout>,
  languages: readonly Language[],
  adapters: readonly (Float32Array | undefined)[],
): Promise<number[][]> {
  const bar = progress.bar('scoring', languages.length * adapters.length);
  let done = 0;
  const losses: number[][] = [];
  for (const { heldOut } of languages) {
    losses.push(
      await inParallel(adapters, 1, async (adapter) => {
        const { lossSum, tokens } = await evaluate({
          model,
          examples: heldOut,
          threads,
          device: 'cpu',
          signal,
          ...(adapter && { layout, adapter }),
        });
        bar.update(++done);
        return lossSum / tokens;
      }),
    );
  }
  bar.finish();
  return losses;
}

const lossesOf = ([base, federated, ...local]: readonly number[], languages: readonly Language[]): LanguageLosses => ({
  base: base!,
  federated: federated!,
  local: Object.fromEntries(languages.map(({ node }, index) => [node, local[index]!])),
});

const nodeOf = ({ tag, node }: Language, outcome: FederationOutcome, examples: number): DemoNode => {
  const { summary } = outcome.nodes.find(({ name }) => name === node)!;
  return { name: node, language: tag, examples, bytesUp: summary.bytesUp, bytesDown: summary.bytesDown };
};
