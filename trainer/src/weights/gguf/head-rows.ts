type Rows = Float32Array | Uint8Array;

/**
 * The row order of q and k in a Llama-type GGUF, from Hugging Face's (convert_hf_to_gguf.py, LlamaModel.permute):
 * row s·headDim/2 + j of each head goes to 2j + s. Inverse of toHuggingFaceRows.
 *
 * @param rowLength a row's entries: values, or bytes of whole blocks
 */
export function toGgufRows<T extends Rows>(rows: T, rowLength: number, headRows: number): T {
  return reorder(rows, rowLength, (row) => {
    const [inHead, half] = [row % headRows, headRows / 2];
    return row - inHead + Math.floor(inHead / 2) + (inHead % 2) * half;
  });
}

/**
 * llama.cpp turns neighbouring rows as a pair, Hugging Face row j with row j + headDim/2: its converter interleaves
 * the halves of each head. Row 2j + s there is row s·headDim/2 + j here.
 */
export function toHuggingFaceRows<T extends Rows>(rows: T, rowLength: number, headRows: number): T {
  return reorder(rows, rowLength, (row) => {
    const [inHead, half] = [row % headRows, headRows / 2];
    return row - inHead + 2 * (inHead % half) + Math.floor(inHead / half);
  });
}

function reorder<T extends Rows>(rows: T, rowLength: number, from: (row: number) => number): T {
  const out = rows.slice() as T;
  const count = rows.length / rowLength;
  for (let row = 0; row < count; row++) {
    const start = from(row) * rowLength;
    out.set(rows.subarray(start, start + rowLength), row * rowLength);
  }
  return out;
}
