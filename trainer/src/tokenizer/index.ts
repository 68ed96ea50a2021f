export type { ChatMessage, Tokenizer } from './tokenizer.ts';
export { parseTokenizerJson, type TokenizerJson } from './tokenizer-json.ts';
export { createTokenizer, type TokenizerRoles } from './byte-pair-tokenizer.ts';
export { byteAlphabet } from './byte-alphabet.ts';
export { gpt2Split } from './split-patterns.ts';
