import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
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
  await saveAdapter(at('adapter'), model, layout, initAdapter(layout, 0));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('weft export', () => {
  it('refuses a format that it does not know, with those that it does', () => {
    const { status, stderr } = exportTo('unknown', '--format', 'onnx');
    expect(status).toBe(2);
    expect(stderr).toContain('peft, safetensors, gguf-lora');
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

  it('takes --dtype only where weights are merged', () => {
    const { status, stderr } = exportTo('copy', '--format', 'peft', '--dtype', 'base');
    expect(status).toBe(2);
    expect(stderr).toContain('WEFT_FLAG_DISAGREES');
  });
});
