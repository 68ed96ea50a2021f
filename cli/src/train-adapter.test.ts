import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const entry = fileURLToPath(new URL('../bin/weft.mjs', import.meta.url));
const model = fileURLToPath(new URL('../../models/weft-tiny-llama', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'weft-train-'));

const at = (name: string): string => join(folder, name);
const rows = at('rows.jsonl');
writeFileSync(
  rows,
  [
    { input_ids: [5, 6, 7, 8, 9, 10], labels: [-100, -100, 7, 8, 9, 10] },
    { input_ids: [11, 12, 13] },
    { input_ids: Array.from({ length: 40 }, (_, index) => 20 + index) },
  ]
    .map((row) => `${JSON.stringify(row)}\n`)
    .join(''),
);

const weft = (...argv: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [entry, ...argv], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  return { status, stdout, stderr };
};
const train = (out: string, ...flags: string[]) =>
  weft('train', '--model', model, '--data', rows, '--out', at(out), '--threads', '1', '--seq', '16', ...flags);

interface Score {
  readonly step: number;
  readonly loss: number;
  readonly tokens: number;
}

/** Steps and losses as printed, to the last digit. */
const stepsOf = (stdout: string): { step: number; loss: number }[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { step?: number; loss: number })
    .flatMap((line) => (line.step === undefined ? [] : [{ step: line.step, loss: line.loss }]))
    .map(({ step, loss }) => ({ step, loss }));

afterAll(() => rmSync(folder, { recursive: true }));

describe('weft train', () => {
  it('holds the base in int8: nearly the losses of float32, in training and in scoring', () => {
    const flags = ['--steps', '3', '--batch', '1', '--no-shuffle', '--json'];
    const held = ['--base', 'int8', '--cache', at('cache')];
    const [full, less] = [train('full', ...flags), train('int8', ...flags, ...held)];
    expect(less.stderr).toContain('wrote the adapter');
    const losses = stepsOf(less.stdout).map(({ loss }) => loss);
    stepsOf(full.stdout).forEach(({ loss }, index) => {
      expect(losses[index]).not.toBe(loss);
      expect(Math.abs((losses[index] ?? 0) / loss - 1)).toBeLessThan(0.01);
    });
    const score = weft('eval', '--model', model, '--data', rows, '--seq', '16', ...held, '--json');
    expect(JSON.parse(score.stdout)).toMatchObject({ tokens: 21 });
  });

  it('does not train with int8 on a device that has no products of it', () => {
    const { status, stderr } = train('none', '--base', 'int8', '--device', 'webgpu', '--cache', at('cache'));
    expect(status).toBe(6);
    expect(stderr).toContain('it has no products of int8 weights');
  });

  it('prints a JSON line a step and nothing else on standard output, the first with what the data comes to', () => {
    const { status, stdout, stderr } = train('a', '--steps', '3', '--batch', '1', '--no-shuffle', '--json');
    expect(stderr).toContain(
      '3 records, 3 examples: 25 tokens, of which the loss counts 21; 1 cut at --seq 16, 24 tokens left out',
    );
    expect(stderr).toContain('lengths: 3 to 40 tokens, median 6, 95 % have at most 40\n');
    expect(stderr).toContain('padding: 48 % of 48 tokens computed an epoch; packed 22 % of 32\n');
    expect(status).toBe(0);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatchObject({
      step: 1,
      data: {
        records: 3,
        examples: 3,
        tokens: 25,
        countedTokens: 21,
        truncated: 1,
        cutTokens: 24,
        dropped: 0,
        lengths: { min: 3, median: 6, p95: 40, max: 40 },
        computedTokens: 48,
        packedTokens: 32,
      },
    });
    expect(Object.keys(lines[1] ?? {})).toEqual(['step', 'loss', 'tokensPerSecond']);
    const config: unknown = JSON.parse(readFileSync(at('a/adapter_config.json'), 'utf8'));
    expect(config).toMatchObject({ peft_type: 'LORA', r: 8, lora_alpha: 16, target_modules: ['q_proj', 'v_proj'] });
  });

  it('scores a held-out file before the first step, every so many and after the last, as weft eval does', () => {
    writeFileSync(at('held-out.jsonl'), readFileSync(rows, 'utf8').split('\n').slice(0, 2).join('\n'));
    const flags = ['--steps', '5', '--validation', at('held-out.jsonl'), '--validate-every', '2', '--lr', '1e-2'];
    const { status, stdout, stderr } = train('v', ...flags, '--json', '--plot', at('v.svg'));
    expect(stderr).toContain('validation: 2 records, 2 examples: 9 tokens, of which the loss counts 6\n');
    expect(status).toBe(0);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { step?: number; validation?: Score });
    expect(lines.map(({ step, validation }) => step ?? validation)).toMatchObject([
      { step: 0, tokens: 6 },
      1,
      2,
      { step: 2 },
      3,
      4,
      { step: 4 },
      5,
      { step: 5 },
    ]);
    const scores = lines.flatMap(({ validation }) => (validation ? [validation.loss] : []));
    const scored = weft(
      'eval',
      '--model',
      model,
      '--adapter',
      at('v'),
      '--data',
      at('held-out.jsonl'),
      '--seq',
      '16',
      '--threads',
      '1',
      '--json',
    );
    expect((JSON.parse(scored.stdout) as Score).loss).toBeCloseTo(scores.at(-1) ?? 0, 5);
    expect(scores.at(-1)).toBeLessThan(scores[0] ?? 0);
    expect(readFileSync(at('v.svg'), 'utf8')).toContain(`Validation from ${scores[0]?.toFixed(4)} after step 0`);

    const without = train('w', '--steps', '5', '--lr', '1e-2', '--json');
    expect(stepsOf(without.stdout)).toEqual(stepsOf(stdout));
  });

  it('packs short examples into shared rows', () => {
    const { status, stdout, stderr } = train('p', '--epochs', '1', '--batch', '1', '--packing', '--json');
    expect(stderr).toContain('packed into 2 rows of at most 16 tokens\n');
    expect(status).toBe(0);
    expect(stepsOf(stdout)).toHaveLength(2);
  });

  it('holds a share back by hash, the same in every run, and says when that is nothing', () => {
    writeFileSync(at('many.txt'), Array.from({ length: 60 }, (_, i) => `line ${i} of the held-out test`).join('\n'));
    const share = (value: string) =>
      weft(
        'train',
        '--model',
        model,
        '--data',
        at('many.txt'),
        '--out',
        at('s'),
        '--threads',
        '1',
        '--seq',
        '16',
        '--steps',
        '1',
        '--validation',
        value,
      );
    const [first, second] = [share('0.2'), share('0.2')];
    expect(first.status).toBe(0);
    const counts = /^validation: (\d+) records/m.exec(first.stderr)?.[1];
    expect(Number(counts)).toBeGreaterThan(2);
    expect(first.stderr).toContain(`${60 - Number(counts)} records`);
    expect(second.stderr).toContain(`validation: ${counts} records`);
    expect(first.stderr).toMatch(/validation loss \d+\.\d{4} after step 0\n/);
    expect(share('0.000001').stderr).toContain('--validation 0.000001 holds back 0 of 60 records');
    expect(share('1.5').stderr).toContain('It is a share above 0 and below 1, or a file.');
  });

  it('counts epochs in whole passes, and ends with the same bits from the same seed', () => {
    const [one, two] = ['b', 'c'].map((out) => train(out, '--epochs', '2', '--batch', '2', '--seed', '9'));
    expect([one?.status, two?.status]).toEqual([0, 0]);
    expect(one?.stderr).toContain('train 4/4 ');
    const [first, second] = ['b', 'c'].map((out) => readFileSync(at(`${out}/adapter_model.safetensors`)));
    expect(first?.equals(second ?? Buffer.alloc(0))).toBe(true);
  });

  it('says at which step and why when the loss is no number, and leaves nothing behind', () => {
    const { status, stderr } = train('diverged', '--steps', '3', '--lr', '1e30', '--targets', 'up_proj,down_proj');
    expect(status).toBe(3);
    expect(stderr).toMatch(/step 2: .*; the learning rate of 1e\+30 is probably too high \[WEFT_TRAINING_DIVERGED\]/);
    expect(existsSync(at('diverged'))).toBe(false);
  });

  it('goes on from an adapter, and refuses a flag that disagrees with it', () => {
    train('d', '--steps', '1', '--rank', '4', '--alpha', '4', '--targets', 'up_proj,down_proj');
    const onwards = train('e', '--steps', '1', '--init-adapter', at('d'), '--rank', '4');
    expect(onwards.status).toBe(0);
    expect(JSON.parse(readFileSync(at('e/adapter_config.json'), 'utf8'))).toMatchObject({ r: 4, lora_alpha: 4 });
    for (const [flag, value] of Object.entries({ rank: '8', alpha: '16', targets: 'q_proj' })) {
      const { status, stderr } = train('f', '--steps', '1', '--init-adapter', at('d'), `--${flag}`, value);
      expect(stderr).toContain(`--${flag} says ${value}, the adapter in ${at('d')} has`);
      expect(status).toBe(2);
    }
    cpSync(model, at('other'), { recursive: true });
    writeFileSync(at('other/config.json'), `${readFileSync(join(model, 'config.json'), 'utf8')}\n`);
    const ofOther = train('f', '--steps', '1', '--init-adapter', at('d'), '--model', at('other'));
    expect(ofOther.stderr).toContain('WEFT_ADAPTER_OTHER_BASE');
    expect(ofOther.status).toBe(3);
    expect(existsSync(at('f'))).toBe(false);
  });

  it('says what is wrong with data that nobody can train on', () => {
    writeFileSync(at('empty.txt'), '');
    writeFileSync(at('latin1.txt'), Buffer.from([0x63, 0x61, 0x66, 0xe9, 0x0a]));
    writeFileSync(at('columns.csv'), 'question,answer\na,b\n');
    writeFileSync(at('ragged.csv'), 'text,id\na\n');
    writeFileSync(at('no.parquet'), 'PAR1 and then something else');
    for (const name of ['empty.txt', 'latin1.txt', 'missing.txt', 'columns.csv', 'ragged.csv', 'no.parquet']) {
      const { status, stdout, stderr } = weft(
        'train',
        '--model',
        model,
        '--data',
        at(name),
        '--out',
        at('g'),
        '--steps',
        '1',
      );
      expect(stderr, name).toMatch(/\[WEFT_DATA_[A-Z0-9_]+\]\n.+\n$/);
      expect(stdout).toBe('');
      expect(status, name).toBe(3);
      expect(existsSync(at('g')), name).toBe(false);
    }
  });

  it('stops after a step at the first Ctrl-C', async () => {
    const args = [
      'train',
      '--model',
      model,
      '--data',
      rows,
      '--out',
      at('h'),
      '--steps',
      '1000000',
      '--threads',
      '1',
      '--json',
    ];
    const child = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const said: string[] = [];
    child.stderr.setEncoding('utf8').on('data', (text: string) => said.push(text));
    const closed = once(child, 'close');
    const lines = createInterface({ input: child.stdout });
    for await (const line of lines) {
      if (!line.startsWith('{"step"')) continue;
      child.kill('SIGINT');
      break;
    }
    child.stdout.resume(); // a full pipe would hold the child
    expect(await closed).toEqual([130, null]);
    expect(said.join('')).toContain('press Ctrl-C again to quit at once');
    expect(said.join('')).toMatch(/wrote a checkpoint of step \d+/);
  });

  it('goes on after kill -9 with the losses and the adapter of a run that nothing stopped', async () => {
    const flags = ['--steps', '200', '--batch', '2', '--lr', '1e-2', '--schedule', 'cosine', '--json'];
    const unbroken = train('i', ...flags);
    expect(unbroken.status).toBe(0);
    writeFileSync(at('other.jsonl'), '{"input_ids":[5,6,7,8]}');
    const scored = [...flags, '--validation', at('other.jsonl'), '--validate-every', '50'];
    const killed = ['train', '--model', model, '--data', rows, '--out', at('j'), '--threads', '1', '--seq', '16'];
    const child = spawn(process.execPath, [entry, ...killed, ...scored, '--checkpoint-every', '3'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const closed = once(child, 'close');
    let printed = 0;
    for await (const _line of createInterface({ input: child.stdout })) if (++printed === 12) child.kill('SIGKILL');
    expect(await closed).toEqual([null, 'SIGKILL']);

    const elsewhere = train('j', ...flags, '--lr', '1e-3', '--resume');
    expect(elsewhere.stderr).toContain('--lr is 0.001, the checkpoint has 0.01');
    expect(elsewhere.status).toBe(2);

    const resumed = train('j', ...scored, '--resume', '--plot', at('j.svg'));
    expect(resumed.status).toBe(0);
    const after = stepsOf(resumed.stdout);
    expect(after[0]?.step).toBeGreaterThanOrEqual(10);
    expect(after).toEqual(stepsOf(unbroken.stdout).slice((after[0]?.step ?? 0) - 1));
    const first = stepsOf(unbroken.stdout)[0]?.loss.toFixed(4);
    expect(readFileSync(at('j.svg'), 'utf8')).toContain(`From ${first} at step 1 to `);
    expect(readFileSync(at('j.svg'), 'utf8')).toMatch(
      /Validation from \d\.\d{4} after step 0 to \d\.\d{4} after step 200/,
    );
    const [whole, mended] = ['i', 'j'].map((out) => readFileSync(at(`${out}/adapter_model.safetensors`)));
    expect(mended?.equals(whole ?? Buffer.alloc(0))).toBe(true);
    expect(existsSync(at('j/checkpoint'))).toBe(false);
  }, 120_000);

  it('goes on in fp16 with the loss scale of the checkpoint, and not in fp32', async () => {
    const flags = ['--steps', '60', '--batch', '2', '--device', 'cpu', '--json'];
    const half = [...flags, '--precision', 'fp16'];
    const unbroken = stepsOf(train('i16', ...half).stdout);
    const killed = ['train', '--model', model, '--data', rows, '--out', at('j16'), '--threads', '1', '--seq', '16'];
    const child = spawn(process.execPath, [entry, ...killed, ...half, '--checkpoint-every', '2'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const closed = once(child, 'close');
    let printed = 0;
    for await (const _line of createInterface({ input: child.stdout })) if (++printed === 6) child.kill('SIGKILL');
    await closed;
    const manifest = JSON.parse(readFileSync(at('j16/checkpoint/checkpoint.json'), 'utf8')) as {
      step: number;
      skippedSteps: number;
      lossScale: { scale: number };
    };
    expect(manifest.lossScale.scale).toBe(2 ** (16 - manifest.skippedSteps));
    expect(train('j16', ...flags, '--resume').stderr).toContain('--precision is not set, the checkpoint has fp16');
    const resumed = stepsOf(train('j16', ...half, '--resume').stdout);
    expect(resumed).toEqual(unbroken.slice(manifest.step));
    expect(unbroken[0]?.loss).not.toBe(stepsOf(train('i32', ...flags, '--steps', '1').stdout)[0]?.loss);
  });

  it('says that there is nothing to go on from', () => {
    const { status, stderr } = train('k', '--steps', '1', '--resume');
    expect(stderr).toContain('[WEFT_CHECKPOINT_NOT_FOUND]');
    expect(status).toBe(3);
  });
});

describe('weft eval', () => {
  it('prints loss, perplexity and tokens of the data, with an adapter or without', () => {
    const { status, stdout } = weft(
      'eval',
      '--model',
      model,
      '--data',
      rows,
      '--seq',
      '16',
      '--threads',
      '1',
      '--json',
    );
    expect(status).toBe(0);
    const { loss, perplexity, tokens } = JSON.parse(stdout) as Record<'loss' | 'perplexity' | 'tokens', number>;
    expect(tokens).toBe(21);
    expect(perplexity).toBeCloseTo(Math.exp(loss), 6);
  });
});
