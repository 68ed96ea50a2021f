import process from 'node:process';
import { parseArgs } from 'node:util';
import { availableParallelism } from 'node:os';
import { findGguf, findPython } from '../conformance/python.ts';
import { againstSixteen, bitsRows, measureBits } from './bits-bench.ts';
import { boostRows, measureBoosts } from './boost/boost-bench.ts';
import { cases } from './cases.ts';
import { cohortRows, measureCohort } from './cohort/cohort-bench.ts';
import { figuresOf } from './figures.ts';
import { generatingFigures, generatingRows, measureGenerating } from './generate/generate-bench.ts';
import { aligned, runTable, tableOf } from './table.ts';
import { profileStep } from './profile.ts';
import { againstTheMachine } from './secagg/machine-limit.ts';
import { againstFlower, againstTargets, measureSecagg, secaggRows } from './secagg/secagg-bench.ts';
import { measureTraining } from './train-bench.ts';

// `pnpm bench train [--quick] [--case NAME] [--threads N] [--json | --profile]`, `pnpm bench generate [--quick] [--threads N] [--json]`,
// `pnpm bench secagg [--quick] [--json]`, `pnpm bench bits [--quick] [--json]`, `pnpm bench boost [--quick] [--json]`,
// `pnpm bench cohort [--members N] [--json]`
const usage = `usage: pnpm bench train [--quick] [--case ${cases.map(({ name }) => name).join('|')}] [--threads N] [--gguf FILE] [--json | --profile]
       pnpm bench generate [--quick] [--threads N] [--gguf FILE] [--json]
       pnpm bench secagg [--quick] [--json]
       pnpm bench bits [--quick] [--json]
       pnpm bench boost [--quick] [--json]
       pnpm bench cohort [--members N] [--json]`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    case: { type: 'string', multiple: true },
    threads: { type: 'string', default: String(availableParallelism()) },
    gguf: { type: 'string' },
    members: { type: 'string', default: '132' },
    json: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const gguf = values.gguf ?? findGguf();
const threads = Number(values.threads);
const unknown = values.case?.find((name) => !cases.some((known) => known.name === name));
const members = Number(values.members);
const verb = positionals.join();
if (values.help) {
  process.stdout.write(`${usage}\n`);
} else if (
  !['train', 'generate', 'secagg', 'bits', 'boost', 'cohort'].includes(verb) ||
  unknown !== undefined ||
  !Number.isSafeInteger(members) ||
  members < 3 ||
  !Number.isSafeInteger(threads) ||
  threads < 1
) {
  process.stderr.write(`${usage}\n`);
  process.exitCode = 2;
} else if (verb === 'bits') {
  const report = (line: string): void => void process.stderr.write(`${line}\n`);
  const run = await measureBits({ quick: values.quick, report });
  process.stdout.write(values.json ? `${JSON.stringify(run)}\n` : `${aligned(bitsRows(run))}${againstSixteen(run)}`);
} else if (verb === 'boost') {
  const measured = measureBoosts({ quick: values.quick });
  process.stdout.write(values.json ? `${JSON.stringify(measured)}\n` : aligned(boostRows(measured)));
} else if (verb === 'cohort') {
  const figures = await measureCohort(members, (line) => void process.stderr.write(`${line}\n`));
  process.stdout.write(values.json ? `${JSON.stringify(figures)}\n` : aligned(cohortRows(figures)));
} else if (verb === 'secagg') {
  const report = (line: string): void => void process.stderr.write(`${line}\n`);
  const run = measureSecagg({ quick: values.quick, python: findPython(['flwr']), report });
  const left = run.skipped.map((what) => `left out: ${what}\n`).join('');
  const load = `load of the machine: ${run.load.map((average) => average.toFixed(1)).join(' before, ')} after\n`;
  process.stdout.write(
    values.json
      ? `${JSON.stringify(run)}\n`
      : `${aligned(secaggRows(run))}${left}${load}${[
          againstTheMachine(run.masks),
          ...againstFlower(run),
          ...againstTargets(run),
        ]
          .map((line) => `${line}\n`)
          .join('')}`,
  );
} else if (gguf === undefined) {
  process.stderr.write('the benchmark needs a SmolLM2-135M GGUF: --gguf, WEFT_TEST_GGUF or .cache/models\n');
  process.exitCode = 2;
} else if (verb === 'generate') {
  const report = (line: string): void => void process.stderr.write(`${line}\n`);
  const run = await measureGenerating({
    gguf,
    python: findPython(['llama_cpp']),
    threads,
    quick: values.quick,
    report,
  });
  const figures = generatingFigures(run);
  const left = run.skipped.map((what) => `left out: ${what}\n`).join('');
  const load = `load of the machine: ${run.load.map((average) => average.toFixed(1)).join(' before, ')} after\n`;
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ threads, ...run, figures })}\n`
      : `${aligned(generatingRows(run))}${left}${load}\n${tableOf(figures)}`,
  );
} else {
  const chosen = cases.filter(({ name }) => values.case?.includes(name) ?? (!values.quick || name === cases[0]?.name));
  if (values.profile) {
    for (const work of chosen) process.stdout.write(await profileStep(work, gguf, threads));
    process.exit();
  }
  const python = findPython(['torch', 'transformers', 'peft', 'gguf']);
  const report = (line: string): void => void process.stderr.write(`${line}\n`);
  const run = await measureTraining({ gguf, python, threads, cases: chosen, quick: values.quick, report });
  const figures = figuresOf(run);
  process.stdout.write(
    values.json ? `${JSON.stringify({ threads, ...run, figures })}\n` : `${runTable(run)}\n${tableOf(figures)}`,
  );
}
