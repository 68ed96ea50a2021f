/**
 * The row order of q and k in a Llama-type GGUF, from Hugging Face's (convert_hf_to_gguf.py, LlamaModel.permute):
 * row s·headDim/2 + j of each head goes to 2j + s. Inverse of toHuggingFaceRows.
 */
export function toGgufRows(values: Float32Array, rowElements: number, headRows: number): Float32Array {
  const half = headRows / 2;
  const out = new Float32Array(values.length);
  const rows = values.length / rowElements;
  for (let row = 0; row < rows; row++) {
    const inHead = row % headRows;
    const to = row - inHead + 2 * (inHead % half) + Math.floor(inHead / half);
    out.set(values.subarray(row * rowElements, (row + 1) * rowElements), to * rowElements);
  }
  return out;
}
