import { defineErrors } from './entry.ts';

export const adapterErrors = defineErrors({});
