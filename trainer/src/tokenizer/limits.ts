/** What a tokenizer's files may ask of us. */
export const tokenizerLimits = {
  /** Gemma's tokenizer.json has 33 MB. */
  fileBytes: 64 * 1024 * 1024,
  /** Gemma has 262,144. */
  vocabulary: 1_000_000,
  merges: 2_000_000,
  /** Models with thousands of reserved tokens exist. */
  addedTokens: 20_000,
  /** The longest in use have some 300 characters. */
  patternLength: 4_096,
  /** Sequences of sequences; two levels are in use. */
  nesting: 8,
  /** Some 20 kB are in use. */
  chatTemplateLength: 1024 * 1024,
  /** To render a conversation once, or a short one for each of its turns; a thousand messages take some 60 ms. */
  chatTemplateMs: 3_000,
} as const;
