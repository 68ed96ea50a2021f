export { readRecords } from './read-records.ts';
export { createRecord, type DataRecord, type RecordContent, type RecordSource } from './record.ts';
export { encodeRecords, countLabels, type EncodeOptions, type EncodeReport, type Example } from './encode-records.ts';
export { ignoredLabel } from './parse-json-line.ts';
export { splitHeldOut } from './hold-out.ts';
export { batches, type BatchOptions } from './batches.ts';
export { randomOrder } from './random-order.ts';
