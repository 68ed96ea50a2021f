import process from 'node:process';
import { chooseDevice, choosePrecision, type Model, type Precision } from '@weft/trainer';
import type { Device, ModelOptions } from './model-options.ts';

/** The device that this model runs on here, said on standard error where `auto` left it open. */
export const settleDevice = async (
  model: Model,
  { device, threads }: ModelOptions,
): Promise<Exclude<Device, 'auto'>> => {
  const { provider, why } = await chooseDevice(device, model.quantised ?? model.tensors, threads);
  if (device === 'auto') process.stderr.write(`device: ${provider.name} (${why})\n`);
  return provider.name;
};

/** The precision of products on that device, said where `auto` left it open. */
export const settlePrecision = async (
  asked: Precision | 'auto',
  device: Exclude<Device, 'auto'>,
  threads: number,
): Promise<Precision> => {
  const precision = await choosePrecision(asked, device, threads);
  if (asked === 'auto') process.stderr.write(`precision: ${precision}\n`);
  return precision;
};
