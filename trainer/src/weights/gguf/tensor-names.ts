import type { Family } from '../../models/families.ts';

/** Hugging Face's names of a GGUF's tensors (gguf-py, tensor_mapping.py). */

const global: Readonly<Record<string, string>> = {
  'token_embd.weight': 'model.embed_tokens.weight',
  'output_norm.weight': 'model.norm.weight',
  'output.weight': 'lm_head.weight',
};

const perLayer: Readonly<Record<string, string>> = {
  'attn_q.weight': 'self_attn.q_proj.weight',
  'attn_k.weight': 'self_attn.k_proj.weight',
  'attn_v.weight': 'self_attn.v_proj.weight',
  'attn_output.weight': 'self_attn.o_proj.weight',
  'ffn_gate.weight': 'mlp.gate_proj.weight',
  'ffn_up.weight': 'mlp.up_proj.weight',
  'ffn_down.weight': 'mlp.down_proj.weight',
};

const biases: Readonly<Record<string, string>> = {
  'attn_q.bias': 'self_attn.q_proj.bias',
  'attn_k.bias': 'self_attn.k_proj.bias',
  'attn_v.bias': 'self_attn.v_proj.bias',
};

const headNorms: Readonly<Record<string, string>> = {
  'attn_q_norm.weight': 'self_attn.q_norm.weight',
  'attn_k_norm.weight': 'self_attn.k_norm.weight',
};

/** The names within a layer of a family. */
const layerNames = ({ qkvBias, qkNorm, norms: { attention, mlp } }: Family): Readonly<Record<string, string>> => ({
  ...perLayer,
  ...(qkvBias && biases),
  ...(qkNorm && headNorms),
  'attn_norm.weight': `${attention.before}.weight`,
  'ffn_norm.weight': `${mlp.before}.weight`,
  ...(attention.after !== undefined && { 'post_attention_norm.weight': `${attention.after}.weight` }),
  ...(mlp.after !== undefined && { 'post_ffw_norm.weight': `${mlp.after}.weight` }),
});

/** Undefined for a tensor that a model of the family does not have. */
export function toHuggingFaceName(name: string, family: Family): string | undefined {
  const layer = /^blk\.(\d{1,4})\.(.+)$/.exec(name);
  if (layer === null) return Object.hasOwn(global, name) ? global[name] : undefined;
  const [, index = '', rest = ''] = layer;
  const names = layerNames(family);
  return Object.hasOwn(names, rest) ? `model.layers.${Number(index)}.${names[rest]}` : undefined;
}

/** llama.cpp's name of a weight, of whatever family. */
export function toGgufName(name: string, { norms }: Pick<Family, 'norms'>): string {
  const [, layer, module = '', kind = ''] = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name) ?? [];
  const found =
    layer === undefined
      ? Object.keys(global).find((key) => global[key] === name)
      : [
          [norms.attention.before, 'attn_norm'],
          [norms.attention.after, 'post_attention_norm'],
          [norms.mlp.before, 'ffn_norm'],
          [norms.mlp.after, 'post_ffw_norm'],
          ['self_attn.q_norm', 'attn_q_norm'],
          ['self_attn.k_norm', 'attn_k_norm'],
          ...Object.entries(perLayer)
            .filter(([key]) => !key.includes('norm'))
            .map(([key, value]) => [value.replace('.weight', ''), key.replace('.weight', '')]),
        ].find(([huggingFace]) => huggingFace === module)?.[1];
  if (found === undefined) throw new RangeError(`llama.cpp has no name for ${name}`);
  return layer === undefined ? found : `blk.${layer}.${found}.${kind}`;
}

/** The feature that a tensor of another model brings, for a refusal by name. */
export function featureOfTensor(name: string): string {
  if (/^rope_(freqs|factors)/.test(name)) return 'rope_scaling';
  if (/attn_(q|k|v|output|qkv)\.bias$/.test(name)) return 'attention_bias';
  if (/ffn_(gate|up|down)\.bias$/.test(name)) return 'mlp_bias';
  if (/attn_[qk]_norm/.test(name)) return 'qk-norm';
  if (/_exps|ffn_gate_inp/.test(name)) return 'mixture of experts';
  return `tensor ${name.slice(0, 80)}`;
}
