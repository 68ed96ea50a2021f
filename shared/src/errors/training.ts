import { defineErrors } from './entry.ts';

export const trainingErrors = defineErrors({});
