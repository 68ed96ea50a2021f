import { defineErrors } from './entry.ts';

export const coordinatorErrors = defineErrors({});
