import { readFile, stat } from 'node:fs/promises';
import { extname } from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import {
  WeftError,
  gateDataViewSchema,
  gateFormats,
  maxGateDataBytes,
  runDetailViewSchema,
  runViewSchema,
  sha256,
} from '@weft/shared';
import { parse } from 'yaml';
import { z } from 'zod';
import { openAdminClient, type AdminClient } from '../admin-client.ts';
import type { CommandModule } from '../command.ts';
import { boostLine } from '../boost-line.ts';
import { addHomeOption, type HomeOption } from '../coordinator-home.ts';
import { pathOfModel } from '../model-options.ts';

interface CreateOptions extends HomeOption {
  readonly model?: string;
  readonly gateData?: string;
  readonly json?: true;
}

const modelView = z.object({ name: z.string(), sha256: z.string() });

/** @throws WEFT_SPEC_INVALID */
const readSpec = async (file: string): Promise<unknown> => {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new WeftError('WEFT_SPEC_INVALID', `${file} cannot be read: ${cause.code ?? 'unknown'}`, {}, { cause });
  });
  try {
    // JSON is YAML
    return parse(text);
  } catch (cause) {
    throw new WeftError(
      'WEFT_SPEC_INVALID',
      `${file} is neither YAML nor JSON: ${(cause as Error).message}`,
      {},
      { cause },
    );
  }
};

/** A spec that does not name its base model means the one of `--model`; one that does is taken as it stands. */
const withModel = (spec: unknown, model: z.infer<typeof modelView>): unknown =>
  typeof spec === 'object' && spec !== null && !('baseModel' in spec)
    ? { ...spec, baseModel: { name: model.name, sha256: model.sha256 } }
    : spec;

const formatOf = (file: string) => gateFormats.find((format) => extname(file).toLowerCase() === `.${format}`);

/** The file of `--gate-data`, once it lies at the coordinator, with the hash that it has here. */
const sendGateData = async (client: AdminClient, file: string): Promise<GateData> => {
  const format = formatOf(file);
  if (format === undefined)
    throw new WeftError(
      'WEFT_DATA_FORMAT_UNKNOWN',
      `--gate-data is one of ${gateFormats.map((one) => `.${one}`).join(', ')}`,
    );
  const size = await stat(file).then(
    (found) => found.size,
    (cause: NodeJS.ErrnoException) => {
      throw new WeftError(
        'WEFT_DATA_NOT_FOUND',
        `--gate-data cannot be read (${cause.code ?? 'unknown'})`,
        {},
        { cause },
      );
    },
  );
  if (size > maxGateDataBytes) {
    const what = `--gate-data has ${size} bytes, the limit is ${maxGateDataBytes}: it is scored in every round`;
    throw new WeftError('WEFT_DATA_LIMIT', what, { limit: 'gateDataBytes', actual: size });
  }
  const bytes = await readFile(file);
  const { sha256: dataSha256 } = await client.postBytes('/api/gate-data', gateDataViewSchema, bytes);
  if (dataSha256 !== sha256(bytes))
    throw new WeftError('WEFT_TRANSFER_HASH', `the coordinator has ${dataSha256}, --gate-data is ${sha256(bytes)}`);
  return { dataSha256, format };
};

interface GateData {
  readonly dataSha256: string;
  readonly format: string;
}

const isSection = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** What the spec's gate does not say of its file itself; where the spec has no gate it gets one. */
const withGate = (spec: unknown, gate: GateData): unknown => {
  if (!isSection(spec)) return spec;
  const evaluation = isSection(spec['evaluation']) ? spec['evaluation'] : {};
  const given = isSection(evaluation['gate']) ? evaluation['gate'] : {};
  return { ...spec, evaluation: { ...evaluation, gate: { ...gate, ...given } } };
};

const run = async (file: string, options: CreateOptions): Promise<void> => {
  const spec = await readSpec(file);
  const client = await openAdminClient(options);
  const model =
    options.model === undefined
      ? undefined
      : await client.post('/api/models', modelView, { path: await pathOfModel(options.model, undefined) });
  const based = model === undefined ? spec : withModel(spec, model);
  const gate = options.gateData === undefined ? undefined : await sendGateData(client, options.gateData);
  const view = await client.post('/api/runs', runViewSchema, gate === undefined ? based : withGate(based, gate));
  process.stdout.write(options.json ? `${JSON.stringify(view)}\n` : `${view.id}\n`);
  if (options.json) return;
  const { boost } = await client.get(`/api/runs/${view.id}`, runDetailViewSchema);
  process.stderr.write(`one hostile node ${boostLine(boost)}\n`);
  process.stderr.write(`${view.name}: ${view.rounds} rounds; begin with \`weft run start ${view.id}\`\n`);
};

export const command: CommandModule = {
  examples: [
    'weft run create run.yaml --model models/weft-tiny-llama',
    'weft run create run.json --gate-data public.jsonl --json',
  ],
  configure: (command: Command): void => {
    addHomeOption(command)
      .argument('<spec>', 'a run spec in YAML or JSON')
      .option(
        '--model <path>',
        "the base model on the coordinator's machine (a path, or hf:ORG/NAME once it is pulled), when no run has used it yet; nodes fetch it from there",
      )
      .option(
        '--gate-data <file>',
        `what each round's adapter is scored on before it is committed: a public ${gateFormats.map((one) => `.${one}`).join(', ')}, for evaluation.gate of the spec`,
      )
      .option('--json', 'the run on standard output')
      .action((file: string, _options: unknown, command: Command) => run(file, command.opts<CreateOptions>()));
  },
};
