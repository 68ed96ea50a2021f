import { defineErrors } from './entry.ts';

export const dataErrors = defineErrors({});
