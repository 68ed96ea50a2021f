import { readFile, stat } from 'node:fs/promises';
import { WeftError } from '@weft/shared';
import { insideFolder } from '../weights/model-files.ts';
import { createTokenizer } from './byte-pair-tokenizer.ts';
import { tokenizerLimits } from './limits.ts';
import { type AddedTokenJson, parseTokenizerJson, type TokenizerJson } from './tokenizer-json.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface ConfiguredIds {
  readonly bosTokenId: number | undefined;
  readonly eosTokenIds: readonly number[];
  readonly padTokenId: number | undefined;
}

/**
 * The tokenizer of a Hugging Face folder. Ids of special tokens come from config.json, which the model's hash covers;
 * tokenizer_config.json, generation_config.json and chat_template.jinja, which it does not, add what is missing there. Added tokens for which the
 * model is known to have no row are left out, so that their text is text.
 */
export async function tokenizerFromFolder(
  folder: string,
  configured: ConfiguredIds,
  hasRow: (token: AddedTokenJson) => boolean,
): Promise<Tokenizer> {
  const { text, config, chatTemplate } = await readTokenizerFiles(folder);
  const json = withoutTokens(parseTokenizerJson(text), hasRow);
  const { eos_token_id: ends } = await readOptionalJson(folder, 'generation_config.json');
  const generationEnds = [ends].flat().filter((id): id is number => Number.isSafeInteger(id));
  return createTokenizer(json, {
    bosTokenId: configured.bosTokenId ?? idOf(json, config['bos_token']),
    eosTokenId: configured.eosTokenIds[0] ?? idOf(json, config['eos_token']),
    endTokenIds: [...configured.eosTokenIds, ...generationEnds],
    padTokenId: configured.padTokenId ?? idOf(json, config['pad_token']),
    chatTemplate,
  });
}

export interface TokenizerFiles {
  /** Of tokenizer.json. */
  readonly text: string;
  /** tokenizer_config.json, empty where there is none. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly chatTemplate: string | undefined;
}

export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const text = await readLimited(folder, 'tokenizer.json');
  const config = await readOptionalJson(folder, 'tokenizer_config.json');
  const template = await readOptional(folder, 'chat_template.jinja');
  return { text, config, chatTemplate: template ?? templateOf(config['chat_template']) };
}

function withoutTokens(json: TokenizerJson, hasRow: (token: AddedTokenJson) => boolean): TokenizerJson {
  const left = json.added_tokens.filter((token) => !hasRow(token)).map(({ content }) => content);
  if (left.length === 0) return json;
  const vocab = Object.fromEntries(Object.entries(json.model.vocab).filter(([token]) => !left.includes(token)));
  return { ...json, added_tokens: json.added_tokens.filter(hasRow), model: { ...json.model, vocab } };
}

async function readLimited(folder: string, name: string): Promise<string> {
  const file = await insideFolder(folder, name);
  const { size } = await stat(file);
  if (size > tokenizerLimits.fileBytes) {
    throw new WeftError('WEFT_MODEL_LIMIT', `${name} has ${size} bytes, the limit is ${tokenizerLimits.fileBytes}`, {
      limit: 'tokenizer.fileBytes',
      actual: size,
    });
  }
  return readFile(file, 'utf8');
}

async function readOptional(folder: string, name: string): Promise<string | undefined> {
  const present = await stat(`${folder}/${name}`).catch(() => undefined);
  return present === undefined ? undefined : readLimited(folder, name);
}

async function readOptionalJson(folder: string, name: string): Promise<Record<string, unknown>> {
  const text = await readOptional(folder, name);
  if (text === undefined) return {};
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {};
  } catch {
    throw new WeftError('WEFT_MODEL_CORRUPT', `${name} is not JSON`);
  }
}

/** A special token is written as text or as an object with `content`. */
function idOf(json: TokenizerJson, token: unknown): number | undefined {
  const content = typeof token === 'string' ? token : (token as { content?: unknown } | null | undefined)?.content;
  if (typeof content !== 'string') return undefined;
  return json.added_tokens.find((added) => added.content === content)?.id ?? json.model.vocab[content];
}

/** One template, or a list of named ones of which `default` is meant. */
function templateOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return undefined;
  const named = value as { name?: unknown; template?: unknown }[];
  const template = named.find((entry) => entry?.name === 'default')?.template;
  return typeof template === 'string' ? template : undefined;
}
