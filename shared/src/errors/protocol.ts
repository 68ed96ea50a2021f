import { defineErrors } from './entry.ts';

export const protocolErrors = defineErrors({});
