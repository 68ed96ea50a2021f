import { spawn, spawnSync } from 'node:child_process';
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
/** Of util-linux: runs a command on a pseudo-terminal. */
const terminalProgram = 'script';
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

  it.skipIf(spawnSync(terminalProgram, ['--version']).error !== undefined || process.platform !== 'linux')(
    'converses on a terminal: each answer continues what was said, until the end of the input',
    async () => {
      const questions = ['First', 'Second'];
      const flags = ['--model', folder, '--max-tokens', '8', '--threads', '1'];
      const command = [process.execPath, entry, 'chat', ...flags].map((word) => `'${word}'`).join(' ');
      const terminal = spawn(terminalProgram, ['--quiet', '--return', '--command', command, '/dev/null']);
      let said = '';
      let answered = 0;
      terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        // Each prompt asks for a line; the last is answered by the end of the input.
        for (; said.split('> ').length - 1 > answered; answered++) {
          terminal.stdin.write(answered < questions.length ? `${questions[answered]}\r` : '\x04');
          said += '\n';
        }
      });
      const status = await new Promise((resolve) => terminal.on('close', resolve));
      expect([status, answered]).toEqual([0, 3]);
      let history = '';
      let from = 0;
      for (const question of questions) {
        history += `${question}|`;
        const prompt = `${history}The house`;
        const answer = weft(['generate', '--model', folder, '--prompt', prompt, '--max-tokens', '8']).stdout.slice(
          0,
          -1,
        );
        const at = said.replaceAll('\r\n', '\n').indexOf(answer, from);
        expect([question, at]).toEqual([question, expect.toSatisfy((place: number) => place >= from)]);
        from = at + answer.length;
        history += `${answer}|`;
      }
    },
  );

  it('says so when the model has no template', () => {
    const { status, stdout, stderr } = weft(['chat', '--model', bundled], 'Question\n');
    expect([status, stdout]).toEqual([3, '']);
    expect(stderr).toContain('WEFT_MODEL_NO_CHAT_TEMPLATE');
  });
});
