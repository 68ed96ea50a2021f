import { fileURLToPath } from 'node:url';
import { baseModelName } from './base-model/recipe.ts';

/** The base model that comes with Weft, a Hugging Face folder. */
export const bundledModelFolder = fileURLToPath(new URL(`../../../models/${baseModelName}`, import.meta.url));
