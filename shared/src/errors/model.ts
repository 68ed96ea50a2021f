import { defineErrors } from './entry.ts';

/** Base models: the files, what they describe, and the cache that they are unpacked into. */
export const modelErrors = defineErrors({
  WEFT_MODEL_NOT_FOUND: {
    grpc: 'NOT_FOUND',
    http: 404,
    exit: 3,
    todo: 'name a .gguf file, or a folder with config.json, tokenizer.json and *.safetensors',
    retry: false,
  },
  WEFT_MODEL_CORRUPT: {
    grpc: 'DATA_LOSS',
    http: 422,
    exit: 3,
    todo: "fetch the file again and compare its SHA-256 with the publisher's",
    retry: false,
  },
  WEFT_MODEL_LIMIT: {
    grpc: 'RESOURCE_EXHAUSTED',
    http: 422,
    exit: 3,
    todo: 'use a model within the limit that is named; no published model that Weft can train comes near it',
    retry: false,
  },
  WEFT_MODEL_PATH_ESCAPES: {
    grpc: 'PERMISSION_DENIED',
    http: 422,
    exit: 3,
    todo: "copy the files themselves into the model's folder (`hf download --local-dir` does)",
    retry: false,
  },
  WEFT_MODEL_UNSUPPORTED: {
    grpc: 'UNIMPLEMENTED',
    http: 422,
    exit: 3,
    todo: 'choose a Llama, Mistral, Qwen2.5, Qwen3, SmolLM3 or Gemma 3 model without the feature that is named',
    retry: false,
  },
  WEFT_MODEL_MISMATCH: {
    grpc: 'INVALID_ARGUMENT',
    http: 422,
    exit: 3,
    todo: 'fetch all files of the model from one revision',
    retry: false,
  },
  WEFT_MODEL_NOT_FINITE: {
    grpc: 'DATA_LOSS',
    http: 422,
    exit: 3,
    todo: 'get the model again from where it came, or convert it again; float16 cannot hold all that bfloat16 can',
    retry: false,
  },
  WEFT_MODEL_TOKENIZER_MISFIT: {
    grpc: 'INVALID_ARGUMENT',
    http: 422,
    exit: 3,
    todo: 'put the tokenizer that was published with this model beside its weights',
    retry: false,
  },
  WEFT_MODEL_NO_CHAT_TEMPLATE: {
    grpc: 'FAILED_PRECONDITION',
    http: 422,
    exit: 3,
    todo: 'use text or prompt/completion data, or a model whose tokenizer carries a chat template',
    retry: false,
  },
  WEFT_MODEL_CHAT_TEMPLATE_FAILED: {
    grpc: 'INVALID_ARGUMENT',
    http: 422,
    exit: 3,
    todo: "check the roles and their order against what the model's chat template accepts",
    retry: false,
  },
  WEFT_MODEL_CACHE_UNUSABLE: {
    grpc: 'FAILED_PRECONDITION',
    http: 500,
    exit: 6,
    todo: 'set WEFT_CACHE to a folder that this user may write',
    retry: false,
  },
});
