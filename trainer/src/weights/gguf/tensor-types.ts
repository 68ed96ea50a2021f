/** Element types that are read, with their numbers in the file and their blocks (ggml-common.h). */
export const ggufTensorTypes = {
  F32: { id: 0, blockElements: 1, blockBytes: 4 },
  F16: { id: 1, blockElements: 1, blockBytes: 2 },
  /** d:f16, 16 bytes of two 4-bit values: x = d·(q − 8) */
  Q4_0: { id: 2, blockElements: 32, blockBytes: 18 },
  /** d:f16, m:f16, 16 bytes of two 4-bit values: x = d·q + m */
  Q4_1: { id: 3, blockElements: 32, blockBytes: 20 },
  /** d:f16, 32 signed bytes: x = d·q */
  Q8_0: { id: 8, blockElements: 32, blockBytes: 34 },
  BF16: { id: 30, blockElements: 1, blockBytes: 2 },
} as const;

export type GgufTensorType = keyof typeof ggufTensorTypes;

/** Names of the others, so that a refusal can say which one it met. */
const otherTypeNames: Readonly<Record<number, string>> = {
  6: 'Q5_0',
  7: 'Q5_1',
  9: 'Q8_1',
  10: 'Q2_K',
  11: 'Q3_K',
  12: 'Q4_K',
  13: 'Q5_K',
  14: 'Q6_K',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  20: 'IQ4_NL',
  21: 'IQ3_S',
  22: 'IQ2_S',
  23: 'IQ4_XS',
  24: 'I8',
  25: 'I16',
  26: 'I32',
  27: 'I64',
  28: 'F64',
  29: 'IQ1_M',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
};

const typesById = new Map<number, GgufTensorType>(
  (Object.keys(ggufTensorTypes) as GgufTensorType[]).map((name) => [ggufTensorTypes[name].id, name]),
);

export const tensorTypeOf = (id: number): GgufTensorType | undefined => typesById.get(id);
export const tensorTypeName = (id: number): string => typesById.get(id) ?? otherTypeNames[id] ?? `number ${id}`;
