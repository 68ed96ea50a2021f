import type { ExportKind } from './model-card.ts';

const block = (language: string, ...lines: string[]): string => `\`\`\`${language}\n${lines.join('\n')}\n\`\`\`\n`;

/** The part of a card that tells how each tool loads what was written under the name `file`. */
export function loadingNotes(kind: ExportKind, file: string): string {
  return notes[kind](file);
}

const notes: Readonly<Record<ExportKind, (file: string) => string>> = {
  peft: (folder) => `
transformers with PEFT, where BASE is the base model:

${block(
  'python',
  'from peft import PeftModel',
  'from transformers import AutoModelForCausalLM',
  `model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("BASE"), "${folder}")`,
)}
Weft: \`weft generate --model BASE --adapter ${folder} --prompt TEXT\`
`,
  safetensors: (folder) => `
transformers:

${block(
  'python',
  'from transformers import AutoModelForCausalLM, AutoTokenizer',
  `model, tokenizer = AutoModelForCausalLM.from_pretrained("${folder}"), AutoTokenizer.from_pretrained("${folder}")`,
)}
Weft: \`weft generate --model ${folder} --prompt TEXT\`
`,
  onnx: (folder) => `
Inputs are \`input_ids\`, \`attention_mask\`, \`position_ids\` and \`past_key_values.N.key\` and \`.value\`, outputs \`logits\` and
\`present.N.key\` and \`.value\`. onnxruntime-genai, which reads genai_config.json:

${block(
  'python',
  'import onnxruntime_genai as og',
  `model = og.Model("${folder}")`,
  'tokenizer, parameters = og.Tokenizer(model), og.GeneratorParams(model)',
  'parameters.set_search_options(max_length=64)',
  'generator = og.Generator(model, parameters)',
  'generator.append_tokens(tokenizer.encode("TEXT"))',
  'while not generator.is_done():',
  '    generator.generate_next_token()',
  'print(tokenizer.decode(generator.get_sequence(0)))',
)}
onnxruntime alone:

${block('python', 'import onnxruntime', `session = onnxruntime.InferenceSession("${folder}/onnx/model.onnx")`)}
transformers.js, with this folder below \`env.localModelPath\` or on the hub:

${block(
  'js',
  "import { pipeline } from '@huggingface/transformers';",
  `const generate = await pipeline('text-generation', '${folder}', { dtype: 'fp32' });`,
)}`,
  gguf: (file) => `
${block(
  'sh',
  `llama-cli -m ${file}                                  # llama.cpp`,
  `ollama create NAME -f ${modelfileOf(file)} && ollama run NAME   # Ollama`,
  `lms import ${file}                                    # LM Studio`,
  `weft generate --model ${file} --prompt TEXT           # Weft`,
)}`,
  'gguf-lora': (file) => `
BASE is the base model as GGUF, also at lower precision:

${block(
  'sh',
  `llama-cli -m BASE.gguf --lora ${file}   # llama.cpp`,
  `printf 'FROM ./BASE.gguf\\nADAPTER ./${file}\\n' > Modelfile && ollama create NAME   # Ollama`,
)}`,
};

/** model.gguf → model.Modelfile, which stands beside it. */
export const modelfileOf = (file: string): string => file.replace(/(\.gguf)?$/i, '.Modelfile');
/** model.gguf → model.md. */
export const cardOf = (file: string): string => file.replace(/(\.gguf)?$/i, '.md');
