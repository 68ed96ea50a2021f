import { InvalidArgumentError } from 'commander';
import { loraTargets, type LoraTarget } from '@weft/shared';

/** `--rank 8`: a whole number within limits that the message names. */
export const wholeNumber =
  (minimum: number, maximum = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < minimum || value > maximum) {
      throw new InvalidArgumentError(
        maximum === Number.MAX_SAFE_INTEGER
          ? `It is a whole number, ${minimum} or more.`
          : `It is a whole number from ${minimum} to ${maximum}.`,
      );
    }
    return value;
  };

/** `--lr 1e-4`: a finite number, zero or more; with `positive` zero is refused too. */
export const nonNegative =
  ({ positive = false } = {}) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value) || value < 0 || (positive && value === 0)) {
      throw new InvalidArgumentError(positive ? 'It is a number above 0.' : 'It is a number, 0 or more.');
    }
    return value;
  };

/** `--targets q_proj,v_proj`, without doubles, in the order of the layout. */
export const targetList = (text: string): readonly LoraTarget[] => {
  const names = text.split(',').map((name) => name.trim());
  const wrong = names.filter((name) => !loraTargets.some((target) => target === name));
  if (wrong.length > 0) {
    throw new InvalidArgumentError(`${wrong.join(', ')}: choose from ${loraTargets.join(', ')}.`);
  }
  return loraTargets.filter((target) => names.includes(target));
};

/** `--validation 0.1` holds that share back; whatever is no number is a file. */
export const shareOrPath = (text: string): number | string => {
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value)) return text;
  if (!(value > 0 && value < 1)) throw new InvalidArgumentError('It is a share above 0 and below 1, or a file.');
  return value;
};

/** `--data-set letters`: a plain name. */
export const dataSetName = (text: string): string => {
  if (!/^\w[\w. -]{0,63}$/.test(text))
    throw new InvalidArgumentError('It is up to 64 letters, digits, dots, dashes and spaces.');
  return text;
};

/** `--top-p 0.9`: above 0, at most 1. */
export const probability = (text: string): number => {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0 && value <= 1)) {
    throw new InvalidArgumentError('It is a number above 0, at most 1.');
  }
  return value;
};
