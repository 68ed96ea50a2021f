import { defineErrors } from './entry.ts';

export const modelErrors = defineErrors({});
