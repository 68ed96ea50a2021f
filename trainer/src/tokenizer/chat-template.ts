import { Template } from '@huggingface/jinja';
import { WeftError } from '@weft/shared';
import { boundedTime, OutOfTime } from './bounded-time.ts';
import { tokenizerLimits } from './limits.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Renders messages as transformers' apply_chat_template does with `tokenize=False`. */
export function createChatRenderer(
  source: string | undefined,
  specialTokens: Readonly<Record<string, string>>,
): Tokenizer['renderChat'] {
  let compiled: Template | undefined;
  return (messages, { addGenerationPrompt = false } = {}) => {
    if (source === undefined) throw new WeftError('WEFT_MODEL_NO_CHAT_TEMPLATE', 'the model has no chat template');
    compiled ??= compile(source);
    const template = compiled;
    const render = (): string =>
      template.render({
        ...specialTokens,
        messages: messages.map((m) => ({ ...m })),
        add_generation_prompt: addGenerationPrompt,
        tools: null,
        documents: null,
      });
    try {
      return withinTemplateTime(messages.length, render);
    } catch (error) {
      if (error instanceof WeftError) throw error;
      throw new WeftError(
        'WEFT_MODEL_CHAT_TEMPLATE_FAILED',
        `the chat template refuses a conversation of ${messages.length} messages${ownWords(error, source)}`,
        { messages: messages.length, kind: (error as Error).name },
      );
    }
  };
}

/** Rendering that ends: once for all turns of a conversation is cheaper than once for each. */
export function withinTemplateTime<T>(messages: number, render: () => T): T {
  try {
    return boundedTime(tokenizerLimits.chatTemplateMs, render);
  } catch (error) {
    if (!(error instanceof OutOfTime)) throw error;
    throw new WeftError(
      'WEFT_MODEL_CHAT_TEMPLATE_FAILED',
      `the chat template takes more than ${tokenizerLimits.chatTemplateMs} ms for a conversation of ${messages} messages (chatTemplateMs)`,
      { messages, limit: 'tokenizer.chatTemplateMs' },
    );
  }
}

/** What a template says may quote a message: it is repeated only where it stands in the template's own source. */
function ownWords(error: unknown, source: string): string {
  const said = error instanceof Error ? error.message.trim() : '';
  return said !== '' && said.length <= wordsShown && source.includes(said) ? `: ${said}` : '';
}

/** Those in use have a sentence. */
const wordsShown = 300;

function compile(source: string): Template {
  if (source.length > tokenizerLimits.chatTemplateLength) {
    throw new WeftError(
      'WEFT_MODEL_LIMIT',
      `the chat template has ${source.length} characters, the limit is ${tokenizerLimits.chatTemplateLength}`,
      { limit: 'tokenizer.chatTemplateLength', actual: source.length },
    );
  }
  try {
    return new Template(source);
  } catch (cause) {
    throw new WeftError('WEFT_MODEL_CORRUPT', 'the chat template cannot be parsed', {}, { cause });
  }
}
