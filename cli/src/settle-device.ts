import process from 'node:process';
import { chooseDevice, type Model } from '@weft/trainer';
import type { Device, ModelOptions } from './model-options.ts';

/** The device that this model runs on here, said on standard error where `auto` left it open. */
export const settleDevice = async (model: Model, { device, threads }: ModelOptions): Promise<Device> => {
  const { provider, why } = await chooseDevice(device, model.quantised ?? model.tensors, threads);
  if (device === 'auto') process.stderr.write(`device: ${provider.name} (${why})\n`);
  return provider.name;
};
