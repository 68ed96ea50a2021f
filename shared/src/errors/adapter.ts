import { defineErrors } from './entry.ts';

/** Faults of a LoRA adapter in PEFT's layout, and of its export. */
export const adapterErrors = defineErrors({
  WEFT_ADAPTER_NOT_FOUND: {
    grpc: 'NOT_FOUND',
    http: 404,
    exit: 3,
    todo: 'name a folder that holds adapter_config.json and adapter_model.safetensors',
    retry: false,
  },
  WEFT_ADAPTER_UNSUPPORTED: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: 3,
    todo: 'use a plain LoRA adapter in F32, F16 or BF16: one rank and alpha, no bias, no DoRA, no rsLoRA, linear layers only',
    retry: false,
  },
  WEFT_ADAPTER_MISFIT: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: 3,
    todo: 'use the base model that the adapter was trained on',
    retry: false,
  },
  WEFT_ADAPTER_OTHER_BASE: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: 3,
    todo: 'use the base model that is named first, or --any-base where both are the same weights in two formats',
    retry: false,
  },
  WEFT_ADAPTER_CORRUPT: {
    grpc: 'DATA_LOSS',
    http: 422,
    exit: 3,
    todo: 'get the adapter again from where it came',
    retry: false,
  },
  WEFT_EXPORT_PATH_TAKEN: {
    grpc: 'ALREADY_EXISTS',
    http: 409,
    exit: 2,
    todo: 'name a path at which nothing stands yet',
    retry: false,
  },
  WEFT_EXPORT_INEXPRESSIBLE: {
    grpc: 'UNIMPLEMENTED',
    http: 422,
    exit: 3,
    todo: 'export as safetensors or onnx, which hold every model that Weft opens',
    retry: false,
  },
  WEFT_EXPORT_OVERFLOW: {
    grpc: 'OUT_OF_RANGE',
    http: 422,
    exit: 3,
    todo: 'export with --dtype f32',
    retry: false,
  },
});
