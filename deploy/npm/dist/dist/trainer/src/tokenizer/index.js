                                                             
export { parseTokenizerJson,                    } from './tokenizer-json.js';
export { createTokenizer,                     } from './byte-pair-tokenizer.js';
export { byteAlphabet } from './byte-alphabet.js';
export { gpt2Split } from './split-patterns.js';
