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
export const splitByGgufName                                   = {
  default: gpt2Split,
  'gpt-2': gpt2Split,
  smollm: gpt2Split,
  'llama-bpe': llama3Split,
  llama3: llama3Split,
  'llama-v3': llama3Split,
  qwen2: qwen2Split,
};
