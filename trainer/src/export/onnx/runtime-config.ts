import type { Model } from '../../models/model.ts';

/** Where transformers.js looks for a model and, under `_data`, for its weights. */
export const onnxFolder = 'onnx';
export const onnxFile = 'model.onnx';
export const onnxWeightsFile = `${onnxFile}_data`;

/** genai_config.json of onnxruntime-genai: the names of a decoder's inputs and outputs, and its sizes. */
export function genaiConfig({ config, tokenizer }: Model): Record<string, unknown> {
  const { bosTokenId, eosTokenId, padTokenId } = tokenizer;
  return {
    model: {
      type: config.family,
      ...(bosTokenId !== undefined && { bos_token_id: bosTokenId }),
      eos_token_id: eosTokenId ?? 0,
      pad_token_id: padTokenId ?? eosTokenId ?? 0,
      context_length: config.maxPositions,
      vocab_size: config.vocabSize,
      decoder: {
        session_options: { log_id: 'onnxruntime-genai', provider_options: [] },
        filename: `${onnxFolder}/${onnxFile}`,
        head_size: config.headDim,
        hidden_size: config.hiddenSize,
        num_attention_heads: config.heads,
        num_hidden_layers: config.layers,
        num_key_value_heads: config.kvHeads,
        inputs: {
          input_ids: 'input_ids',
          attention_mask: 'attention_mask',
          position_ids: 'position_ids',
          past_key_names: 'past_key_values.%d.key',
          past_value_names: 'past_key_values.%d.value',
        },
        outputs: { logits: 'logits', present_key_names: 'present.%d.key', present_value_names: 'present.%d.value' },
      },
    },
    search: { do_sample: false, max_length: config.maxPositions, past_present_share_buffer: false },
  };
}

/** What transformers.js reads from config.json: which file to take, and that its weights lie beside it. */
export const transformersJsConfig = {
  'transformers.js_config': { dtype: 'fp32', use_external_data_format: { [onnxFile]: 1 } },
};
