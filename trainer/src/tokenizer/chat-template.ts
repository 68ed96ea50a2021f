import { Template } from '@huggingface/jinja';
import { WeftError } from '@weft/shared';
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
    try {
      return compiled.render({
        ...specialTokens,
        messages: messages.map((m) => ({ ...m })),
        add_generation_prompt: addGenerationPrompt,
        tools: null,
        documents: null,
      });
    } catch (error) {
      // the template's own words may quote a message: count, never repeat
      throw new WeftError(
        'WEFT_MODEL_CHAT_TEMPLATE_FAILED',
        `the chat template refuses a conversation of ${messages.length} messages`,
        { messages: messages.length, kind: (error as Error).name },
      );
    }
  };
}

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
