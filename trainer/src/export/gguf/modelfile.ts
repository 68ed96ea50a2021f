import type { ChatMessage, Tokenizer } from '../../tokenizer/tokenizer.ts';

/** A way of writing conversations that Ollama's templates can express. */
interface ChatForm {
  readonly render: (messages: readonly ChatMessage[]) => string;
  /** In Go's text/template with Ollama's variables. */
  readonly template: string;
  readonly stops: readonly string[];
  /** The model's template puts an instruction elsewhere than into a turn of its own; only other turns are compared. */
  readonly foldsInstruction?: true;
}

const each = (messages: readonly ChatMessage[], write: (message: ChatMessage) => string): string =>
  messages.map(write).join('');

const forms: readonly ChatForm[] = [
  {
    // ChatML: SmolLM, Qwen
    render: (messages) =>
      `${each(messages, ({ role, content }) => `<|im_start|>${role}\n${content}<|im_end|>\n`)}<|im_start|>assistant\n`,
    template: `{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
`,
    stops: ['<|im_start|>', '<|im_end|>'],
  },
  {
    // Llama 3
    render: (messages) =>
      `${each(messages, ({ role, content }) => `<|start_header_id|>${role}<|end_header_id|>\n\n${content}<|eot_id|>`)}<|start_header_id|>assistant<|end_header_id|>\n\n`,
    template: `{{- range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>

{{ .Content }}<|eot_id|>{{ end }}<|start_header_id|>assistant<|end_header_id|>

`,
    stops: ['<|start_header_id|>', '<|eot_id|>'],
  },
  {
    // Zephyr, TinyLlama
    render: (messages) => `${each(messages, ({ role, content }) => `<|${role}|>\n${content}</s>\n`)}<|assistant|>\n`,
    template: `{{- range .Messages }}<|{{ .Role }}|>
{{ .Content }}</s>
{{ end }}<|assistant|>
`,
    stops: ['</s>'],
  },
  {
    // Gemma, which has no system role: what would stand there is a turn of the user's
    render: (messages) =>
      `${each(messages, ({ role, content }) => `<start_of_turn>${role === 'assistant' ? 'model' : role}\n${content}<end_of_turn>\n`)}<start_of_turn>model\n`,
    template: `{{- range .Messages }}<start_of_turn>{{ if eq .Role "assistant" }}model{{ else }}user{{ end }}
{{ .Content }}<end_of_turn>
{{ end }}<start_of_turn>model
`,
    stops: ['<start_of_turn>', '<end_of_turn>'],
    foldsInstruction: true,
  },
];

/** Words that no template contains, so that they can be found again in what it makes of them. */
const [question, answer, instruction] = ['weft-question', 'weft-answer', 'weft-instruction'];
const ask: ChatMessage = { role: 'user', content: question };
const talk: readonly ChatMessage[] = [ask, { role: 'assistant', content: answer }, ask];

/**
 * Ollama's description of a GGUF that lies beside it. Ollama has templates of its own kind: where the model's template
 * writes conversations in one of the known forms, that form is given; elsewhere Ollama looks for one itself.
 */
export function modelfile(file: string, tokenizer: Pick<Tokenizer, 'renderChat' | 'bosTokenId' | 'decode'>): string {
  const from = `FROM ./${file}\n`;
  const found = formOf(tokenizer);
  if (!found) return from;
  const { form, system } = found;
  return [
    from,
    `TEMPLATE """${form.template}"""\n`,
    ...form.stops.map((stop) => `PARAMETER stop ${JSON.stringify(stop)}\n`),
    ...(system === undefined ? [] : [`SYSTEM """${system}"""\n`]),
  ].join('');
}

function formOf(tokenizer: Pick<Tokenizer, 'renderChat' | 'bosTokenId' | 'decode'>) {
  const bos = tokenizer.bosTokenId === undefined ? '' : tokenizer.decode([tokenizer.bosTokenId]);
  const rendered = (messages: readonly ChatMessage[]): string | undefined => {
    try {
      const text = tokenizer.renderChat(messages, { addGenerationPrompt: true });
      // Ollama puts the token that begins a text there itself.
      return bos !== '' && text.startsWith(bos) ? text.slice(bos.length) : text;
    } catch {
      return undefined;
    }
  };
  const instructed = rendered([{ role: 'system', content: instruction }, ...talk]);
  const plain = rendered(talk);
  for (const form of forms) {
    const withSystem = form.render([{ role: 'system', content: instruction }, ...talk]);
    if (plain === form.render(talk) && (instructed === undefined || instructed === withSystem || form.foldsInstruction))
      return { form, system: undefined };
    if (instructed !== withSystem || plain === undefined) continue;
    // A template that has a system message of its own where none is given.
    const [before = '', after = ''] = withSystem.split(instruction);
    const system = plain.slice(before.length, plain.length - after.length);
    if (plain === before + system + after && !system.includes('"""')) return { form, system };
  }
  return undefined;
}
