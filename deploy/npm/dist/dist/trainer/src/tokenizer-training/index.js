export { trainBpe,                           } from './train-bpe.js';
export { toTokenizerJson } from './tokenizer-json.js';
