export { readRecords } from './read-records.js';
export { createRecord,                                                        } from './record.js';
export { encodeRecords, countLabels,                                                     } from './encode-records.js';
export { ignoredLabel } from './parse-json-line.js';
export { splitHeldOut } from './hold-out.js';
export { batches,                   } from './batches.js';
export { randomOrder } from './random-order.js';
