import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** Tokens before the new ones that a decoder may look at: some strip a space at the start of a text. */
const contextTokens = 4;

/**
 * Turns ids into text piece by piece. A piece never ends inside a UTF-8 character, and what may become a stop string is
 * held back until it does not.
 */
export class TextStream {
  readonly #tokenizer: Pick<Tokenizer, 'decode'>;
  readonly #stops: readonly string[];
  /** Ids whose text is not out yet, after some whose text is. */
  #ids: number[];
  #known: string;
  #held = '';
  #stopped = false;

  constructor(tokenizer: Pick<Tokenizer, 'decode'>, promptIds: readonly number[] = [], stops: readonly string[] = []) {
    this.#tokenizer = tokenizer;
    this.#stops = stops.filter((stop) => stop !== '');
    this.#ids = promptIds.slice(-contextTokens);
    this.#known = tokenizer.decode(this.#ids);
  }

  /** A stop string has come; it and what follows are not part of the text. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** The text that this token makes certain. */
  push(id: number): string {
    if (this.#stopped) return '';
    this.#ids.push(id);
    const text = this.#tokenizer.decode(this.#ids);
    // Bytes that are not yet a character decode to U+FFFD.
    if (text.endsWith('\uFFFD')) return '';
    return this.#release(text, false);
  }

  /** What was still held back when there are no more tokens. */
  end(): string {
    return this.#stopped ? '' : this.#release(this.#tokenizer.decode(this.#ids), true);
  }

  #release(text: string, all: boolean): string {
    this.#held += text.slice(this.#known.length);
    this.#ids = this.#ids.slice(-contextTokens);
    this.#known = this.#tokenizer.decode(this.#ids);
    const found = this.#stops.map((stop) => this.#held.indexOf(stop)).filter((at) => at >= 0);
    this.#stopped = found.length > 0;
    const certain = this.#stopped ? Math.min(...found) : this.#held.length - (all ? 0 : this.#possibleStop());
    const piece = this.#held.slice(0, certain);
    this.#held = this.#held.slice(certain);
    return piece;
  }

  /** Length of the longest end of the held text that begins a stop string. */
  #possibleStop(): number {
    const longest = Math.max(0, ...this.#stops.map((stop) => stop.length - 1));
    for (let length = Math.min(longest, this.#held.length); length > 0; length--) {
      const end = this.#held.slice(-length);
      if (this.#stops.some((stop) => stop.startsWith(end))) return length;
    }
    return 0;
  }
}
