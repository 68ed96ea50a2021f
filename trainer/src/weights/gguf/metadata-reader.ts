import { WeftError } from '@weft/shared';
import { corrupt } from './cursor.ts';
import type { GgufValue } from './header.ts';

/** The keys that a GGUF has for its architecture: `attention.head_count` is `llama.attention.head_count` there. */
export class MetadataReader {
  readonly #metadata: ReadonlyMap<string, GgufValue>;
  readonly #prefix: string;

  constructor(metadata: ReadonlyMap<string, GgufValue>, architecture: string) {
    this.#metadata = metadata;
    this.#prefix = `${architecture}.`;
  }

  value(key: string): GgufValue | undefined {
    return this.#metadata.get(this.#prefix + key);
  }

  /** Keys that begin like this, without it. */
  *keysBelow(start: string): Iterable<string> {
    const from = this.#prefix + start;
    for (const key of this.#metadata.keys()) if (key.startsWith(from)) yield key.slice(from.length);
  }

  whole(key: string, otherwise?: number): number {
    const value = this.value(key) ?? otherwise;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1)
      throw corrupt(`${this.#prefix}${key} is no whole number above 0`);
    return value;
  }

  real(key: string, otherwise?: number): number {
    const value = this.value(key) ?? otherwise;
    if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0)
      throw corrupt(`${this.#prefix}${key} is no number above 0`);
    return shortestDecimal(value);
  }

  /** A key that switches something on when it is neither absent nor zero. */
  isOn(key: string): boolean {
    const value = this.value(key);
    return value !== undefined && value !== 0 && value !== false;
  }
}

/** The file's float32 as the shortest decimal that means it, so that 9.999999747378752e-06 is 1e-5 again. */
export function shortestDecimal(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === Math.fround(value)) return shorter;
  }
  return value;
}

export const unsupported = (feature: string, what: string): WeftError =>
  new WeftError('WEFT_MODEL_UNSUPPORTED', `gguf: ${what}`, { feature });
