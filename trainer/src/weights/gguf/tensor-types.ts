/** Element types that are read, with their numbers in the file and their blocks (ggml-common.h). */
export const ggufTensorTypes = {
  F32: { id: 0, blockElements: 1, blockBytes: 4 },
  F16: { id: 1, blockElements: 1, blockBytes: 2 },
  /** d:f16, 16 bytes of two 4-bit values: x = d·(q − 8) */
  Q4_0: { id: 2, blockElements: 32, blockBytes: 18 },
  /** d:f16, m:f16, 16 bytes of two 4-bit values: x = d·q + m */
  Q4_1: { id: 3, blockElements: 32, blockBytes: 20 },
  /** d:f16, 32 fifth bits, 16 bytes of two 4-bit values: x = d·(q − 16) */
  Q5_0: { id: 6, blockElements: 32, blockBytes: 22 },
  /** d:f16, m:f16, 32 fifth bits, 16 bytes of two 4-bit values: x = d·q + m */
  Q5_1: { id: 7, blockElements: 32, blockBytes: 24 },
  /** d:f16, 32 signed bytes: x = d·q */
  Q8_0: { id: 8, blockElements: 32, blockBytes: 34 },
  /** 16 pairs of 4-bit scale and minimum, 256 2-bit values, d:f16, dmin:f16: x = d·scale·q − dmin·minimum */
  Q2_K: { id: 10, blockElements: 256, blockBytes: 84 },
  /** 256 third bits, 256 2-bit values, 16 6-bit scales, d:f16: x = d·(scale − 32)·(q − 4) */
  Q3_K: { id: 11, blockElements: 256, blockBytes: 110 },
  /** d:f16, dmin:f16, 8 pairs of 6-bit scale and minimum, 256 4-bit values: x = d·scale·q − dmin·minimum */
  Q4_K: { id: 12, blockElements: 256, blockBytes: 144 },
  /** d:f16, dmin:f16, 8 pairs of 6-bit scale and minimum, 256 fifth bits, 256 4-bit values: as Q4_K */
  Q5_K: { id: 13, blockElements: 256, blockBytes: 176 },
  /** 256 4-bit and 256 2-bit parts of a value, 16 signed scales, d:f16: x = d·scale·(q − 32) */
  Q6_K: { id: 14, blockElements: 256, blockBytes: 210 },
  /** d:f16, 16 bytes of two numbers of places in a table of 16 values: x = d·table[q] */
  IQ4_NL: { id: 20, blockElements: 32, blockBytes: 18 },
  /** d:f16, 8 6-bit scales, 256 places in IQ4_NL's table: x = d·(scale − 32)·table[q] */
  IQ4_XS: { id: 23, blockElements: 256, blockBytes: 136 },
  BF16: { id: 30, blockElements: 1, blockBytes: 2 },
} as const;

export type GgufTensorType = keyof typeof ggufTensorTypes;

/** Names of the others, so that a refusal can say which one it met. */
const otherTypeNames: Readonly<Record<number, string>> = {
  9: 'Q8_1',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  21: 'IQ3_S',
  22: 'IQ2_S',
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
