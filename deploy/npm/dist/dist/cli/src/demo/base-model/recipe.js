                                                 

/** How the bundled base model is made; `pnpm model:train` follows it and the model card quotes it. */
export const baseModelName = 'weft-tiny-llama';
export const endOfText = '<|endoftext|>';

/** 1,967,808 parameters: in fp32, with its tokenizer, below the 8 MB that the repository gives it. */
export const architecture              = {
  family: 'llama',
  hiddenSize: 192,
  intermediateSize: 512,
  layers: 4,
  heads: 6,
  kvHeads: 2,
  headDim: 32,
  vocabSize: 2048,
  ropeTheta: 10_000,
  rmsNormEps: 1e-5,
  tieWordEmbeddings: true,
  maxPositions: 512,
};

export const training = {
  /** Draws the initial weights and the order of the rows. */
  seed: 1,
  /** About six times through the text. */
  steps: 1000,
  /** Rows in a step. */
  batchSize: 32,
  /** Tokens in a row. */
  sequenceLength: 128,
  /** Highest rate, reached after the warm-up; then half a cosine down to zero. */
  learningRate: 3e-3,
  schedule: 'cosine',
  warmupSteps: 50,
  weightDecay: 0.1,
  clipGradNorm: 1,
}         ;
