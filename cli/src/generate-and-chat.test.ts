import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const entry = fileURLToPath(new URL('../bin/weft.mjs', import.meta.url));
const bundled = fileURLToPath(new URL('../../models/weft-tiny-llama', import.meta.url));
const weft = (argv: readonly string[], input = '') => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [entry, ...argv, '--threads', '1'], {
    encoding: 'utf8',
    input,
  });
  return { status, stdout, stderr };
};
const generate = (...more: string[]) =>
  weft(['generate', '--model', bundled, '--prompt', 'The house', '--max-tokens', '8', ...more]);

describe('weft generate', () => {
  it('prints the text that it reports as JSON', () => {
    const { status, stdout, stderr } = generate();
    expect(status).toBe(0);
    expect(stderr).toMatch(/^8 tokens \([\d.]+ a second\) after \d+ of prompt; weights in \w+\n$/);
    const report = JSON.parse(generate('--json').stdout) as { text: string; weights: string };
    expect(report).toMatchObject({ tokens: 8, ending: 'length' });
    expect(stderr).toContain(`weights in ${report.weights}\n`);
    expect(stdout).toBe(`${report.text}\n`);
  });

  it('ends before a stop text', () => {
    const whole = (JSON.parse(generate('--json').stdout) as { text: string }).text;
    const stop = whole.slice(4, 7);
    expect(JSON.parse(generate('--json', '--stop', stop).stdout)).toMatchObject({
      text: whole.slice(0, whole.indexOf(stop)),
      ending: 'stop',
    });
  });

  it('keeps the base in blocks of integers where that is asked for', () => {
    const cache = mkdtempSync(join(tmpdir(), 'weft-generate-'));
    try {
      const report = JSON.parse(generate('--json', '--base', 'int8', '--cache', cache).stdout);
      expect(report).toMatchObject({ tokens: 8, weights: '8-bit blocks' });
      expect(generate('--base', 'int8', '--cache', cache, '--device', 'webgpu').stderr).toContain(
        'WEFT_TRAINING_BAD_OPTION',
      );
    } finally {
      rmSync(cache, { recursive: true });
    }
  });

  it('refuses what is no probability, and an empty prompt', () => {
    expect(generate('--top-p', '1.5').stderr).toContain('above 0, at most 1');
    const { status, stderr } = weft(['generate', '--model', bundled, '--prompt', '']);
    expect(status).toBe(2);
    expect(stderr).toContain('WEFT_TRAINING_BAD_OPTION');
  });
});

describe('weft chat', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'weft-chat-'));
    cpSync(bundled, folder, { recursive: true });
    const template = "{% for message in messages %}{{ message['content'] }}|{% endfor %}The house";
    writeFileSync(join(folder, 'chat_template.jinja'), template);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('answers one turn from a pipe, through the template of the model', () => {
    const chat = weft(['chat', '--model', folder, '--system', 'S', '--max-tokens', '8'], 'Question\n');
    const prompt = 'S|Question|The house';
    const same = weft(['generate', '--model', folder, '--prompt', prompt, '--max-tokens', '8']);
    expect([chat.status, chat.stdout]).toEqual([0, same.stdout]);
  });

  it('says so when the model has no template', () => {
    const { status, stdout, stderr } = weft(['chat', '--model', bundled], 'Question\n');
    expect([status, stdout]).toEqual([3, '']);
    expect(stderr).toContain('WEFT_MODEL_NO_CHAT_TEMPLATE');
  });
});
