import type { Step } from './tokenizer-json.ts';

/**
 * The regular expressions that cut text into words before merging, in Oniguruma's syntax as tokenizer.json holds them.
 * The library rewrites them for JavaScript; `\s` there differs from Oniguruma's (U+FEFF, U+0085), which is why no
 * expression is used that was written for JavaScript directly.
 */

/** GPT-2 (OpenAI, gpt-2, encoder.py). */
export const gpt2Split = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** Llama 3. */
const llama3Split =
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}` +
  String.raw`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

/** Qwen 2. */
const qwen2Split =
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}` +
  String.raw`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

/**
 * `tokenizer.ggml.pre` → expression. As transformers reads them: it splits smollm's digits by GPT-2's rule, where
 * llama.cpp cuts each digit off first. The merges never join digits, so ids differ only for runs of spaces before one.
 */
export const splitByGgufName: Readonly<Record<string, string>> = {
  default: gpt2Split,
  'gpt-2': gpt2Split,
  smollm: gpt2Split,
  'llama-bpe': llama3Split,
  'smaug-bpe': llama3Split,
  llama3: llama3Split,
  'llama-v3': llama3Split,
  falcon3: llama3Split,
  qwen2: qwen2Split,
  'deepseek-r1-qwen': qwen2Split,
};

/**
 * The name under which llama.cpp cuts words as these steps of a tokenizer.json do, if it has one (llama-vocab.cpp).
 * @param takesWhole whether a word that is a token is not merged (`ignore_merges`), which the name decides too
 */
export function ggufNameOfSplit(steps: readonly Step[], takesWhole: boolean): string | undefined {
  const cuts = steps.flatMap((step) => {
    if (step.type === 'ByteLevel') return step['use_regex'] === false ? [] : [gpt2Split];
    if (step.type === 'Digits') return [step['individual_digits'] === true ? digitSplit : 'Digits'];
    const regex = (step['pattern'] as { Regex?: unknown } | undefined)?.Regex;
    const isolates = step.type === 'Split' && step['behavior'] === 'Isolated' && step['invert'] !== true;
    return [isolates && typeof regex === 'string' ? regex : step.type];
  });
  return ggufSplits.find(
    ({ splits, ignoresMerges }) => takesWhole === ignoresMerges && JSON.stringify(splits) === JSON.stringify(cuts),
  )?.name;
}

const digitSplit = String.raw`\p{N}`;

const ggufSplits = [
  { name: 'gpt-2', splits: [gpt2Split], ignoresMerges: false },
  { name: 'smollm', splits: [digitSplit, gpt2Split], ignoresMerges: false },
  { name: 'llama-bpe', splits: [llama3Split], ignoresMerges: true },
  { name: 'smaug-bpe', splits: [llama3Split], ignoresMerges: false },
  { name: 'qwen2', splits: [qwen2Split], ignoresMerges: false },
];
