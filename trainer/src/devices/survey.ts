import { type Device, devices, type Provider, providerFor } from '../session/device.ts';
import { canaries, failingCanaries } from './canaries.ts';
import { type Precision, precisions, productFault } from './precision.ts';
import { obstacle } from './obstacle.ts';
import { productRate } from './product-rate.ts';

export interface SurveyedDevice {
  readonly device: Exclude<Device, 'auto'>;
  readonly loads: boolean;
  /** Of a small float32 product, transfers included. */
  readonly gigaflopsPerSec?: number;
  /** Computations that some kernel is known to get wrong, and how many it gets right. */
  readonly canaries?: { readonly right: number; readonly of: number };
  /** Of its products; the CPU has halves by way of float32 alone. */
  readonly precisions?: readonly Precision[];
  /** Why it does not load, or which kernels give wrong numbers. */
  readonly problems: readonly string[];
}

/** Tries every device that could be here. */
export async function surveyDevices(threads: number): Promise<SurveyedDevice[]> {
  const surveyed: SurveyedDevice[] = [];
  for (const name of devices) if (name !== 'auto') surveyed.push(await survey(name, threads));
  return surveyed;
}

async function survey(device: SurveyedDevice['device'], threads: number): Promise<SurveyedDevice> {
  const why = obstacle(device);
  if (why !== undefined) return { device, loads: false, problems: [why] };
  const provider = providerFor(device);
  try {
    const gigaflopsPerSec = await productRate(provider, threads);
    const problems = await failingCanaries(provider, threads);
    const of = canaries.length;
    const found = { gigaflopsPerSec, precisions: await precisionsOf(provider, threads) };
    return { device, loads: true, ...found, canaries: { right: of - problems.length, of }, problems };
  } catch (error) {
    return { device, loads: false, problems: [error instanceof Error ? error.message : String(error)] };
  }
}

async function precisionsOf(provider: Provider, threads: number): Promise<Precision[]> {
  if (provider.name === 'cpu') return ['fp32'];
  const had: Precision[] = [];
  for (const precision of precisions)
    if (precision === 'fp32' || (await productFault(provider, precision, threads)) === undefined) had.push(precision);
  return had;
}
