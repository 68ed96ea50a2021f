import { expect, it } from 'vitest';
import { createChatRenderer } from '../../tokenizer/chat-template.ts';
import { modelfile } from './modelfile.ts';

const made = (template: string | undefined, bos = ''): string =>
  modelfile('model.gguf', {
    renderChat: createChatRenderer(template, { bos_token: bos, eos_token: '</s>' }),
    bosTokenId: bos === '' ? undefined : 1,
    decode: () => bos,
  });

const chatMl =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

it('gives ChatML in the words of Ollama', () => {
  expect(made(chatMl)).toBe(`FROM ./model.gguf
TEMPLATE """{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
PARAMETER stop "<|im_start|>"
PARAMETER stop "<|im_end|>"
`);
});

it('finds the system message that a template has of its own', () => {
  const own =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are kind.<|im_end|>\\n' }}{% endif %}";
  expect(made(own + chatMl.replace('{% for message in messages %}', ''))).toContain('SYSTEM """You are kind."""\n');
});

it('knows Llama 3 behind the token that begins a text, and Gemma, which refuses a system message', () => {
  const llama3 =
    "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}";
  expect(made(llama3, '<|begin_of_text|>')).toContain('PARAMETER stop "<|eot_id|>"');
  const gemma =
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if message['role'] == 'assistant' %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}";
  expect(made(gemma, '<bos>')).toContain('PARAMETER stop "<end_of_turn>"');
});

it('leaves the template to Ollama where the form is none of these, or there is none', () => {
  expect(made("{% for message in messages %}{{ message['content'] }}{% endfor %}")).toBe('FROM ./model.gguf\n');
  expect(made(`${chatMl}{{ 'and more' }}`)).toBe('FROM ./model.gguf\n');
  expect(made(undefined)).toBe('FROM ./model.gguf\n');
});
