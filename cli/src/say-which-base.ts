import { basename, resolve } from 'node:path';
import process from 'node:process';
import type { AdapterBase, Model } from '@weft/trainer';

/** A warning on standard error where it is not certain that an adapter was trained on this model. */
export const sayWhichBase = (folder: string, { name }: Pick<Model, 'name'>, base: AdapterBase): void => {
  const adapter = `the adapter in ${basename(resolve(folder))}`;
  if (base === 'unknown')
    process.stderr.write(`${adapter} does not say on which model it was trained; its shapes fit ${name}\n`);
  if (base === 'other') process.stderr.write(`${adapter} was trained on another model; its shapes fit ${name}\n`);
};
