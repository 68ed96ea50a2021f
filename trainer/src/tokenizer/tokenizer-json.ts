import { WeftError } from '@weft/shared';
import { z } from 'zod';
import { tokenizerLimits as limits } from './limits.ts';
import { gpt2Split } from './split-patterns.ts';

const addedToken = z.looseObject({
  id: z.int().min(0).max(limits.vocabulary),
  content: z.string().min(1),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().optional(),
  special: z.boolean().default(false),
});

/** The parts of a tokenizer.json that decide ids; what a step holds is checked by its own type. */
const schema = z.object({
  added_tokens: z.array(addedToken).max(limits.addedTokens).nullish(),
  normalizer: z.unknown().optional(),
  pre_tokenizer: z.unknown().optional(),
  decoder: z.unknown().optional(),
  model: z.looseObject({
    type: z.string().optional(),
    vocab: z.custom<Record<string, number>>(isVocabulary, 'is no map from tokens to ids'),
    merges: z.custom<string[] | [string, string][]>(isMerges, 'is no list of pairs'),
    unk_token: z.string().nullish(),
    continuing_subword_prefix: z.string().nullish(),
    end_of_word_suffix: z.string().nullish(),
    fuse_unk: z.boolean().nullish(),
    byte_fallback: z.boolean().nullish(),
    ignore_merges: z.boolean().nullish(),
  }),
});

export type AddedTokenJson = z.infer<typeof addedToken>;
export type Step = { readonly type: string } & Readonly<Record<string, unknown>>;

/** A byte-pair tokenizer.json, checked, and with the steps rewritten in which the library strays from the original. */
export interface TokenizerJson {
  readonly added_tokens: readonly AddedTokenJson[];
  readonly normalizer: Step | null;
  readonly pre_tokenizer: Step | null;
  readonly post_processor: null;
  readonly decoder: Step | null;
  readonly model: z.infer<typeof schema>['model'] & { readonly type: 'BPE' };
}

export function parseTokenizerJson(text: string): TokenizerJson {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new WeftError('WEFT_MODEL_CORRUPT', 'tokenizer.json is not JSON');
  }
  return checkTokenizerJson(json);
}

export function checkTokenizerJson(json: unknown): TokenizerJson {
  const type = (json as { model?: { type?: unknown } } | null)?.model?.type ?? 'BPE';
  if (type !== 'BPE') throw unsupported(`tokenizer model ${named(type)}`);
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const problems = parsed.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new WeftError('WEFT_MODEL_CORRUPT', `tokenizer.json: ${problems.join('; ')}`);
  }
  const { model, added_tokens: added } = parsed.data;
  if (model.continuing_subword_prefix) throw unsupported('tokenizer continuing_subword_prefix');
  if (typeof model.unk_token === 'string' && !Object.hasOwn(model.vocab, model.unk_token)) {
    const isAdded = added?.some((token) => token.content === model.unk_token) ?? false;
    if (!isAdded) throw new WeftError('WEFT_MODEL_CORRUPT', 'tokenizer.json: unk_token is not in the vocabulary');
  }
  const singleWord = added?.find((token) => token.single_word);
  if (singleWord !== undefined) throw unsupported('tokenizer single_word');
  const normalizer = checkStep(parsed.data.normalizer, normalizers);
  const { pre_tokenizer: cut } = parsed.data;
  return {
    added_tokens: added ?? [],
    normalizer,
    pre_tokenizer: isIdle(cut, normalizer) ? null : checkStep(cut, preTokenizers),
    post_processor: null,
    decoder: checkStep(parsed.data.decoder, decoders),
    model: { ...model, type: 'BPE' },
  };
}

const unsupported = (feature: string): WeftError =>
  new WeftError('WEFT_MODEL_UNSUPPORTED', `the model uses ${feature}`, { feature });

const named = (value: unknown): string => (typeof value === 'string' ? value.slice(0, 40) : 'of no name');

function isVocabulary(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const ids = Object.values(value);
  return (
    ids.length <= limits.vocabulary && ids.every((id) => Number.isSafeInteger(id) && id >= 0 && id <= limits.vocabulary)
  );
}

function isMerges(value: unknown): boolean {
  if (!Array.isArray(value) || value.length > limits.merges) return false;
  const asPairs = Array.isArray(value[0]);
  return value.every((merge) =>
    asPairs
      ? Array.isArray(merge) && merge.length === 2 && merge.every((part) => typeof part === 'string')
      : typeof merge === 'string' && merge.split(' ').length === 2,
  );
}

/** Step type → the step as the library shall see it. */
type StepRules = Readonly<Record<string, (step: Step, depth: number) => Step>>;

function checkStep(value: unknown, rules: StepRules, depth = 0): Step | null {
  if (value === null || value === undefined) return null;
  const type = (value as { type?: unknown }).type;
  if (typeof value !== 'object' || typeof type !== 'string')
    throw new WeftError('WEFT_MODEL_CORRUPT', 'tokenizer.json: a step has no type');
  if (depth > limits.nesting)
    throw new WeftError('WEFT_MODEL_LIMIT', `tokenizer.json: nesting is ${depth}, the limit is ${limits.nesting}`, {
      limit: 'tokenizer.nesting',
      actual: depth,
    });
  if (!Object.hasOwn(rules, type)) throw unsupported(`tokenizer step ${type.slice(0, 40)}`);
  if (type === 'Split' || type === 'Replace') checkPattern((value as { pattern?: unknown }).pattern);
  return (rules[type] as StepRules[string])(value as Step, depth);
}

function checkPattern(pattern: unknown): void {
  const { Regex: regex, String: literal } = (pattern ?? {}) as { Regex?: unknown; String?: unknown };
  const text = regex ?? literal;
  if (typeof text !== 'string') throw new WeftError('WEFT_MODEL_CORRUPT', 'tokenizer.json: a pattern is no text');
  if (text.length > limits.patternLength) {
    throw new WeftError(
      'WEFT_MODEL_LIMIT',
      `tokenizer.json: patternLength is ${text.length}, the limit is ${limits.patternLength}`,
      { limit: 'tokenizer.patternLength', actual: text.length },
    );
  }
}

/** Gemma's tokenizers cut text at its spaces after the normalizer has replaced them all: never. */
function isIdle(cut: unknown, normalizer: Step | null): boolean {
  const literal = (step: unknown, type: string): unknown => {
    const { type: is, pattern } = (step ?? {}) as { type?: unknown; pattern?: { String?: unknown } | null };
    return is === type ? pattern?.String : undefined;
  };
  const content = normalizer?.['content'];
  const leavesNoSpace = literal(normalizer, 'Replace') === ' ' && typeof content === 'string' && !content.includes(' ');
  return literal(cut, 'Split') === ' ' && leavesNoSpace;
}

const keep = (step: Step): Step => step;

const sequenceOf =
  (key: string, rules: () => StepRules) =>
  (step: Step, depth: number): Step => {
    const steps = step[key];
    if (!Array.isArray(steps) || steps.length > 64)
      throw new WeftError('WEFT_MODEL_CORRUPT', `tokenizer.json: a sequence has no list of ${key}`);
    return { ...step, [key]: steps.map((inner) => checkStep(inner, rules(), depth + 1)) };
  };

const split = (regex: string): Step => ({
  type: 'Split',
  pattern: { Regex: regex },
  behavior: 'Isolated',
  invert: false,
});

const normalizers: StepRules = {
  NFC: keep,
  NFD: keep,
  NFKC: keep,
  NFKD: keep,
  Lowercase: keep,
  Prepend: keep,
  Replace: keep,
  Sequence: sequenceOf('normalizers', () => normalizers),
};

const preTokenizers: StepRules = {
  /** The library does not split at spaces here, which the original does unless it is told not to. */
  Metaspace: (step) => {
    if (step['split'] === false) return step;
    throw unsupported('tokenizer step Metaspace with split');
  },
  Sequence: sequenceOf('pretokenizers', () => preTokenizers),
  /** The library's own expression is JavaScript's; see split-patterns.ts. */
  ByteLevel: (step) =>
    step['use_regex'] === false || step['add_prefix_space'] === true
      ? step
      : { type: 'Sequence', pretokenizers: [split(gpt2Split), { ...step, use_regex: false }] },
  /** The original takes every numeric character of Unicode, the library only ASCII's ten. */
  Digits: (step) => split(step['individual_digits'] === true ? String.raw`\p{N}` : String.raw`\p{N}+`),
  /** The library knows these two behaviours only, and silently isolates for the others. */
  Split: (step) => {
    const behavior = step['behavior'];
    if (behavior === 'Isolated' || behavior === 'Removed') return { ...step, invert: step['invert'] === true };
    throw unsupported(`tokenizer split behavior ${named(behavior)}`);
  },
};

const decoders: StepRules = {
  ByteLevel: keep,
  ByteFallback: keep,
  Fuse: keep,
  Strip: keep,
  Replace: keep,
  Metaspace: keep,
  Sequence: sequenceOf('decoders', () => decoders),
};
