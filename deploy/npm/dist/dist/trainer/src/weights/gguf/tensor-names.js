/** Hugging Face's names of a Llama-type GGUF's tensors (gguf-py, tensor_mapping.py). */

const global                                   = {
  'token_embd.weight': 'model.embed_tokens.weight',
  'output_norm.weight': 'model.norm.weight',
  'output.weight': 'lm_head.weight',
};

const perLayer                                   = {
  'attn_norm.weight': 'input_layernorm.weight',
  'attn_q.weight': 'self_attn.q_proj.weight',
  'attn_k.weight': 'self_attn.k_proj.weight',
  'attn_v.weight': 'self_attn.v_proj.weight',
  'attn_output.weight': 'self_attn.o_proj.weight',
  'ffn_norm.weight': 'post_attention_layernorm.weight',
  'ffn_gate.weight': 'mlp.gate_proj.weight',
  'ffn_up.weight': 'mlp.up_proj.weight',
  'ffn_down.weight': 'mlp.down_proj.weight',
};

/** Undefined for a tensor that a plain Llama does not have. */
export function toHuggingFaceName(name        )                     {
  const layer = /^blk\.(\d{1,4})\.(.+)$/.exec(name);
  if (layer === null) return Object.hasOwn(global, name) ? global[name] : undefined;
  const [, index = '', rest = ''] = layer;
  return Object.hasOwn(perLayer, rest) ? `model.layers.${Number(index)}.${perLayer[rest]}` : undefined;
}

/** The feature that a tensor of another model brings, for a refusal by name. */
export function featureOfTensor(name        )         {
  if (/^rope_(freqs|factors)/.test(name)) return 'rope_scaling';
  if (/attn_(q|k|v|output|qkv)\.bias$/.test(name)) return 'attention_bias';
  if (/ffn_(gate|up|down)\.bias$/.test(name)) return 'mlp_bias';
  if (/attn_[qk]_norm/.test(name)) return 'qk-norm';
  if (/_exps|ffn_gate_inp/.test(name)) return 'mixture of experts';
  return `tensor ${name.slice(0, 80)}`;
}
