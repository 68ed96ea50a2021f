import { readFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { continuePrompt, Decoder, openModel } from '@weft/trainer';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { runProgram } from '../run-weft.ts';
import { findPython, skips } from './python.ts';

const python = findPython(['torch', 'transformers']);
const folder = fileURLToPath(new URL('../../models/weft-tiny-llama', import.meta.url));
const license = readFileSync(new URL('../../LICENSE', import.meta.url), 'utf8');
const tokens = 40;
const answersOf = z.array(z.object({ ids: z.array(z.int()), logits: z.array(z.number()) }));

describe.skipIf(skips('conformance', { 'Python with torch and transformers': python }))('transformers', () => {
  test('makes the same tokens from the same prompts', async () => {
    const model = await openModel(folder);
    // of a word, a line, another script, and more than one chunk of a prompt
    const prompts = ['The', 'Licensed under the Apache License, Version', 'Rzeka płynie', license.slice(0, 600)].map(
      (text) => model.tokenizer.encode(text),
    );
    const script = fileURLToPath(new URL('generate.py', import.meta.url));
    const env = { ...process.env, OMP_WAIT_POLICY: 'PASSIVE' };
    const args = [script, folder, JSON.stringify(prompts), String(tokens)];
    const witness = await runProgram(python as string, args, { env });
    expect({ status: witness.status, stderr: witness.status === 0 ? '' : witness.stderr }).toEqual({
      status: 0,
      stderr: '',
    });
    const answers = answersOf.parse(JSON.parse(witness.stdout));
    await using decoder = await Decoder.open({ model, threads: 1 });
    for (const [index, promptIds] of prompts.entries()) {
      const logits = await decoder.logits(promptIds);
      const expected = answers[index]?.logits ?? [];
      expect(Math.max(...expected.map((value, id) => Math.abs(value - (logits[id] ?? Number.NaN))))).toBeLessThan(1e-3);
      const ids: number[] = [];
      for await (const id of continuePrompt(decoder, { promptIds, maxTokens: tokens })) ids.push(id);
      expect(ids).toEqual(answers[index]?.ids);
    }
  }, 120_000);
});
