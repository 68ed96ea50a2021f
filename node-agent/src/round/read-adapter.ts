import { WeftError, type AdapterLayout } from '@weft/shared';
import { readTensors } from '@weft/trainer';

/**
 * The values of an adapter_model.safetensors in the order of the layout.
 * @throws WEFT_NODE_OFFER_INVALID where its tensors are not the layout's
 */
export async function readAdapter(file: string, layout: AdapterLayout): Promise<Float32Array> {
  const { tensors } = await readTensors(file);
  const values = new Float32Array(layout.size);
  for (const { name, shape, offset } of layout.tensors) {
    const tensor = tensors.get(name);
    if (tensor === undefined || tensor.shape.length !== 2 || tensor.shape.some((size, axis) => size !== shape[axis])) {
      throw new WeftError('WEFT_NODE_OFFER_INVALID', `the adapter has no tensor ${name} of ${shape.join(' × ')}`);
    }
    values.set(tensor.values, offset);
  }
  if (tensors.size !== layout.tensors.length) {
    throw new WeftError(
      'WEFT_NODE_OFFER_INVALID',
      `the adapter has ${tensors.size} tensors, the layout ${layout.tensors.length}`,
    );
  }
  return values;
}
