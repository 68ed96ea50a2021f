import { WeftError } from '@weft/shared';
import { parseTokenizerJson, type Step, type TokenizerJson } from '../../tokenizer/tokenizer-json.ts';
import { ggufNameOfSplit } from '../../tokenizer/split-patterns.ts';
import { type GgufEntries, text, u32 } from './model-metadata.ts';

export interface TokenizerToWrite {
  /** Of tokenizer.json. */
  readonly text: string;
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  readonly chatTemplate: string | undefined;
  /** Whether tokenizer_config.json says that texts begin with bos; tokenizer.json may say so too. */
  readonly addBosToken: boolean | undefined;
  /** Of the embedding: llama.cpp wants a token for each. */
  readonly rows: number;
}

/** `tokenizer.ggml.token_type` (llama.h, llama_token_type). */
const tokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** A tokenizer in llama.cpp's keys; one that llama.cpp would cut texts differently with is refused. */
export function tokenizerEntries(source: TokenizerToWrite): GgufEntries {
  const json = parseTokenizerJson(source.text);
  const raw = JSON.parse(source.text) as Record<string, unknown>;
  const { tokens, types } = tokenList(json, source.rows);
  const id = (role: string, value: number | undefined): GgufEntries =>
    value === undefined ? [] : [[`tokenizer.ggml.${role}_token_id`, u32(value)]];
  const bos = source.bosTokenId === undefined ? undefined : tokens[source.bosTokenId];
  const addsBos = templateTokens(raw['post_processor'])?.includes(bos ?? '') ?? source.addBosToken ?? false;
  return [
    ...(json.model.byte_fallback ? sentencePieces(json, raw, tokens) : byteLevelPieces(json, raw)),
    ['tokenizer.ggml.tokens', { type: 'strings', value: tokens }],
    ['tokenizer.ggml.token_type', { type: 'i32s', value: types }],
    ...id('bos', source.bosTokenId),
    ...id('eos', source.eosTokenId),
    ...id('padding', source.padTokenId),
    ...id('unknown', idOf(tokens, json.model.unk_token)),
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: addsBos && bos !== undefined }],
    ...(source.chatTemplate === undefined
      ? []
      : ([['tokenizer.chat_template', text(source.chatTemplate)]] satisfies GgufEntries)),
  ];
}

function tokenList({ model, added_tokens: added }: TokenizerJson, rows: number): { tokens: string[]; types: number[] } {
  const tokens = Array.from({ length: rows }, (_, id) => `[PAD${id}]`);
  const types = tokens.map((): number => tokenType.unused);
  const put = (id: number, token: string, type: number): void => {
    // A token without a row is one that the model never had (tokenizer/from-folder.ts).
    if (id < rows) [tokens[id], types[id]] = [token, type];
  };
  for (const [token, id] of Object.entries(model.vocab)) {
    const isByte = model.byte_fallback && /^<0x[0-9A-F]{2}>$/.test(token);
    put(id, token, isByte ? tokenType.byte : tokenType.normal);
  }
  for (const { id, content, special } of added) put(id, content, special ? tokenType.control : tokenType.userDefined);
  const unknown = idOf(tokens, model.byte_fallback ? model.unk_token : undefined);
  if (unknown !== undefined) types[unknown] = tokenType.unknown;
  return { tokens, types };
}

const idOf = (tokens: readonly string[], token: string | null | undefined): number | undefined => {
  const id = typeof token === 'string' ? tokens.indexOf(token) : -1;
  return id === -1 ? undefined : id;
};

/** Byte-level BPE, GPT-2's kind: merges in order, and the name of the expression that cuts words. */
function byteLevelPieces({ model }: TokenizerJson, raw: Record<string, unknown>): GgufEntries {
  const normalizers = flattened(raw['normalizer'], 'normalizers');
  // llama.cpp leaves text as it is; what people write is in this form already
  if (normalizers.some(({ type }) => type !== 'NFC')) throw refused('its normalizer');
  const cuts = flattened(raw['pre_tokenizer'], 'pretokenizers');
  if (!cuts.some(({ type }) => type === 'ByteLevel') || cuts.some((step) => step['add_prefix_space'] === true))
    throw refused('how it cuts words');
  const name = ggufNameOfSplit(cuts, model.ignore_merges === true);
  if (name === undefined) throw refused('how it cuts words');
  return [
    ['tokenizer.ggml.model', text('gpt2')],
    ['tokenizer.ggml.pre', text(name)],
    ['tokenizer.ggml.merges', { type: 'strings', value: mergeLines(model.merges) }],
  ];
}

/**
 * SentencePiece's BPE with bytes for what has no piece: llama.cpp joins the neighbours whose piece has the highest score,
 * and a piece's rank among the merges is that score's order.
 */
function sentencePieces(
  { model }: TokenizerJson,
  raw: Record<string, unknown>,
  tokens: readonly string[],
): GgufEntries {
  const steps = [...flattened(raw['normalizer'], 'normalizers'), ...flattened(raw['pre_tokenizer'], 'pretokenizers')];
  if (!steps.every(isSpaceMark)) throw refused('its normalizer');
  const bytes = new Set(tokens.filter((token) => /^<0x[0-9A-F]{2}>$/.test(token)));
  if (bytes.size !== 256) throw refused(`${bytes.size} of 256 byte tokens`);
  const ranks = new Map<string, number>();
  for (const line of mergeLines(model.merges)) {
    const piece = line.replace(' ', '');
    if (!ranks.has(piece)) ranks.set(piece, ranks.size);
  }
  const marksStart = steps.some(
    (step) => step.type === 'Prepend' || (step.type === 'Metaspace' && step['prepend_scheme'] !== 'never'),
  );
  return [
    ['tokenizer.ggml.model', text('llama')],
    ['tokenizer.ggml.pre', text('default')],
    ['tokenizer.ggml.scores', { type: 'f32s', value: tokens.map((token) => -(ranks.get(token) ?? ranks.size)) }],
    ['tokenizer.ggml.add_space_prefix', { type: 'bool', value: marksStart }],
  ];
}

/** Steps that do no more than write spaces as ▁, or nothing once they are written so. */
function isSpaceMark(step: Step): boolean {
  const pattern = (step['pattern'] as { String?: unknown } | undefined)?.String;
  if (step.type === 'Prepend') return step['prepend'] === '▁';
  if (step.type === 'Replace') return pattern === ' ' && step['content'] === '▁';
  if (step.type === 'Metaspace') return (step['replacement'] ?? '▁') === '▁' && step['split'] === false;
  return step.type === 'Split' && pattern === ' ';
}

const mergeLines = (merges: TokenizerJson['model']['merges']): string[] =>
  merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' ')));

/** The steps of a sequence of sequences; the parser has checked their types. */
function flattened(value: unknown, key: 'normalizers' | 'pretokenizers'): Step[] {
  if (value === null || value === undefined) return [];
  const step = value as Step;
  return step.type === 'Sequence' ? (step[key] as unknown[]).flatMap((inner) => flattened(inner, key)) : [step];
}

/** The special tokens that tokenizer.json puts around a single text. */
function templateTokens(processor: unknown): string[] | undefined {
  const { type, single, processors } = (processor ?? {}) as { type?: unknown; single?: unknown; processors?: unknown };
  if (type === 'Sequence' && Array.isArray(processors))
    return processors.map(templateTokens).find((found) => found !== undefined);
  if (type !== 'TemplateProcessing' || !Array.isArray(single)) return undefined;
  return single.flatMap((part: { SpecialToken?: { id?: unknown } } | null) => {
    const id = part?.SpecialToken?.id;
    return typeof id === 'string' ? [id] : [];
  });
}

const refused = (what: string): WeftError =>
  new WeftError('WEFT_EXPORT_INEXPRESSIBLE', `a GGUF cannot hold the model's tokenizer: ${what}`, {
    feature: `tokenizer: ${what}`,
  });
