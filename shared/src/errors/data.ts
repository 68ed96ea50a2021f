import { defineErrors } from './entry.ts';

/** Training and evaluation data. No message of these ever quotes the data: line numbers and counts only. */
export const dataErrors = defineErrors({
  WEFT_DATA_NOT_FOUND: {
    grpc: 'NOT_FOUND',
    http: 404,
    exit: 3,
    todo: 'name a .txt, .md, .jsonl or .csv file, or a folder that holds some',
    retry: false,
  },
  WEFT_DATA_FORMAT_UNKNOWN: {
    grpc: 'INVALID_ARGUMENT',
    http: 422,
    exit: 3,
    todo: 'convert the file to .txt, .md, .jsonl or .csv',
    retry: false,
  },
  WEFT_DATA_EMPTY: { grpc: 'INVALID_ARGUMENT', http: 422, exit: 3, todo: 'name a file that holds text', retry: false },
  WEFT_DATA_NOT_UTF8: {
    grpc: 'INVALID_ARGUMENT',
    http: 422,
    exit: 3,
    todo: 'convert the file to UTF-8, for instance with iconv',
    retry: false,
  },
  WEFT_DATA_LIMIT: {
    grpc: 'RESOURCE_EXHAUSTED',
    http: 422,
    exit: 3,
    todo: 'split the file below the limit that is named',
    retry: false,
  },
  WEFT_DATA_MALFORMED: {
    grpc: 'INVALID_ARGUMENT',
    http: 422,
    exit: 3,
    todo: 'make the line one JSON object with text, prompt and completion, messages, or input_ids',
    retry: false,
  },
  WEFT_DATA_COLUMNS: {
    grpc: 'INVALID_ARGUMENT',
    http: 422,
    exit: 3,
    todo: 'name the columns text, or prompt and completion, or messages',
    retry: false,
  },
  WEFT_DATA_CELL: {
    grpc: 'INVALID_ARGUMENT',
    http: 422,
    exit: 3,
    todo: 'give each row text in the columns that are read (messages: a list or JSON of one), or leave the row out',
    retry: false,
  },
  WEFT_DATA_CSV: {
    grpc: 'INVALID_ARGUMENT',
    http: 422,
    exit: 3,
    todo: 'put fields that hold delimiters, quotes or line ends in quotes, and double each quote inside',
    retry: false,
  },
  WEFT_DATA_LABELS_MISFIT: {
    grpc: 'INVALID_ARGUMENT',
    http: 422,
    exit: 3,
    todo: "give one label for each id: the token's own id, or -100 where it does not count",
    retry: false,
  },
  WEFT_DATA_ID_OUT_OF_RANGE: {
    grpc: 'OUT_OF_RANGE',
    http: 422,
    exit: 3,
    todo: "encode the data with this model's own tokenizer",
    retry: false,
  },
  WEFT_DATA_TOO_SHORT: {
    grpc: 'INVALID_ARGUMENT',
    http: 422,
    exit: 3,
    todo: 'add text, or lower the sequence length',
    retry: false,
  },
});
