import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAdapterLayout } from '@weft/shared';
import { initAdapter, openModel, saveAdapter } from '@weft/trainer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const entry = fileURLToPath(new URL('../bin/weft.mjs', import.meta.url));
const base = fileURLToPath(new URL('../../models/weft-tiny-llama', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'weft-export-'));
const at = (name: string): string => join(folder, name);

const exportTo = (out: string, ...flags: string[]) => {
  const argv = ['export', '--model', base, '--adapter', at('adapter'), '--out', at(out), ...flags];
  const { status, stdout, stderr } = spawnSync(process.execPath, [entry, ...argv], { encoding: 'utf8' });
  return { status, stdout, stderr };
};

beforeAll(async () => {
  const model = await openModel(base);
  const layout = createAdapterLayout(model.config, { rank: 2, alpha: 4, targets: ['q_proj'] });
  const adapter = initAdapter(layout, 0).map((value, i) => (value === 0 ? Math.sin(i) / 10 : value));
  await saveAdapter(at('adapter'), model, { layout, adapter });
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('weft export', () => {
  it('refuses a format that it does not know, with those that it does', () => {
    const { status, stderr } = exportTo('unknown', '--format', 'tflite');
    expect(status).toBe(2);
    expect(stderr).toContain('peft, safetensors, onnx, gguf, gguf-lora');
    expect(existsSync(at('unknown'))).toBe(false);
  });

  it('writes a merged folder whose card tells the command without folders of this machine', () => {
    const { status, stdout } = exportTo('merged', '--format', 'safetensors', '--json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ format: 'safetensors', path: at('merged') });
    expect(readdirSync(at('merged')).toSorted()).toEqual([
      'README.md',
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    const card = readFileSync(join(at('merged'), 'README.md'), 'utf8');
    expect(card).toContain('`weft export --model weft-tiny-llama --adapter adapter --format safetensors --out merged`');
    expect(card).not.toContain(folder);
  });

  it('refuses to write over what it wrote', () => {
    expect(exportTo('adapter.gguf', '--format', 'gguf-lora').stdout).toBe(`${at('adapter.gguf')}\n`);
    const again = exportTo('adapter.gguf', '--format', 'gguf-lora');
    expect(again.status).toBe(2);
    expect(again.stderr).toContain('WEFT_EXPORT_PATH_TAKEN');
  });

  it('refuses an adapter of another base, takes it with --any-base, and says so', () => {
    cpSync(base, at('other'), { recursive: true });
    const config = JSON.parse(readFileSync(join(base, 'config.json'), 'utf8')) as object;
    writeFileSync(join(at('other'), 'config.json'), JSON.stringify({ ...config, rope_theta: 5e5 }));
    const onOther = (...flags: string[]) => exportTo('of-other', '--format', 'peft', '--model', at('other'), ...flags);
    const { status, stderr } = onOther();
    expect(status).toBe(3);
    expect(stderr).toMatch(
      /trained on weft-tiny-llama \([0-9a-f]{12}…\), this model is other \(.* \[WEFT_ADAPTER_OTHER_BASE\]$/m,
    );
    expect(existsSync(at('of-other'))).toBe(false);
    const anyBase = onOther('--any-base');
    expect(anyBase.status).toBe(0);
    expect(anyBase.stderr).toContain('the adapter in adapter was trained on another model; its shapes fit other\n');
  });

  it('takes --dtype only where weights are merged, and only what the format has', () => {
    for (const flags of [
      ['--format', 'peft', '--dtype', 'base'],
      ['--format', 'onnx', '--dtype', 'base'],
    ]) {
      const { status, stderr } = exportTo('copy', ...flags);
      expect(status).toBe(2);
      expect(stderr).toContain('WEFT_FLAG_DISAGREES');
      expect(existsSync(at('copy'))).toBe(false);
    }
  });

  it('writes ONNX in the folders that other tools look in', () => {
    expect(exportTo('onnx', '--format', 'onnx').status).toBe(0);
    expect(readdirSync(at('onnx'), { encoding: 'utf8', recursive: true }).toSorted()).toEqual([
      'README.md',
      'config.json',
      'genai_config.json',
      'onnx',
      join('onnx', 'model.onnx'),
      join('onnx', 'model.onnx_data'),
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    expect(JSON.parse(readFileSync(join(at('onnx'), 'config.json'), 'utf8'))).toMatchObject({
      model_type: 'llama',
      'transformers.js_config': { use_external_data_format: { 'model.onnx': 1 } },
    });
  });

  it('writes beside a GGUF how to use it', () => {
    const { stderr } = exportTo('used.gguf', '--format', 'gguf', '--dtype', 'q8_0');
    expect(
      readdirSync(folder)
        .filter((name) => name.startsWith('used'))
        .toSorted(),
    ).toEqual(['used.Modelfile', 'used.gguf', 'used.md']);
    expect(readFileSync(at('used.Modelfile'), 'utf8')).toBe('FROM ./used.gguf\n');
    expect(readFileSync(at('used.md'), 'utf8')).toContain('--dtype q8_0');
    // what is over before anyone could read it has no bar
    expect(stderr).not.toContain('write');
  });

  it('writes a GGUF that generates what base and adapter generate', () => {
    expect(exportTo('model.gguf', '--format', 'gguf').status).toBe(0);
    const generate = (...flags: string[]) => {
      const argv = [
        'generate',
        ...flags,
        '--cache',
        at('cache'),
        '--prompt',
        'The river',
        '--max-tokens',
        '12',
        '--json',
      ];
      const { stdout } = spawnSync(process.execPath, [entry, ...argv], { encoding: 'utf8' });
      return (JSON.parse(stdout) as { text: string }).text;
    };
    expect(generate('--model', at('model.gguf'))).toBe(generate('--model', base, '--adapter', at('adapter')));
  });

  it('writes the base alone where no adapter is named, but not as an adapter', () => {
    const alone = (format: string, end = '') =>
      spawnSync(
        process.execPath,
        [entry, 'export', '--model', base, '--format', format, '--out', at(`alone-${format}${end}`)],
        {
          encoding: 'utf8',
        },
      );
    expect(alone('safetensors').status).toBe(0);
    expect(readFileSync(join(at('alone-safetensors'), 'README.md'), 'utf8')).not.toContain('LoRA');
    const { status, stderr } = alone('gguf-lora', '.gguf');
    expect(status).toBe(2);
    expect(stderr).toContain('--adapter');
  });
});
