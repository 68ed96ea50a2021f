export { trainBpe, type Bpe, type BpeOptions } from './train-bpe.ts';
export { toTokenizerJson } from './tokenizer-json.ts';
