import { defineErrors } from './entry.ts';

export const nodeErrors = defineErrors({});
