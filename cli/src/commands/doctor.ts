import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import process from 'node:process';
import type { Command } from 'commander';
import type { Gpu, SurveyedDevice } from '@weft/trainer';
import type { CommandModule } from '../command.ts';

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

const gpuWords = ({ name, driver, memoryBytes, freeMemoryBytes }: Gpu): string =>
  [
    name,
    `driver ${driver}`,
    memoryBytes !== undefined && gibibytes(memoryBytes),
    freeMemoryBytes !== undefined && `${gibibytes(freeMemoryBytes)} free`,
  ]
    .filter((part) => typeof part === 'string')
    .join(', ');

const deviceWords = ({ loads, gigaflopsPerSec = 0, precisions = [], canaries, problems }: SurveyedDevice): string => {
  if (!loads) return problems.join('; ');
  const tried = canaries ? [`${canaries.right} of ${canaries.of} canaries right`] : [];
  return [
    `loads, ${gigaflopsPerSec.toFixed(0)} GFLOP/s in fp32`,
    `products in ${precisions.join(', ')}`,
    ...tried,
    ...problems,
  ].join('; ');
};

const run = async ({ json }: { json?: true }): Promise<void> => {
  const { runtimeVersion, surveyDevices, surveyDrivers } = await import('@weft/trainer');
  const threads = availableParallelism();
  const machine = {
    node: process.versions.node,
    onnxruntime: runtimeVersion(),
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    threads,
    memoryBytes: totalmem(),
    freeMemoryBytes: freemem(),
  };
  const { gpus, vulkan } = await surveyDrivers();
  const devices = await surveyDevices(threads);
  if (json) {
    process.stdout.write(`${JSON.stringify({ ...machine, gpus, vulkan, devices })}\n`);
    return;
  }
  const line = (key: string, value: string): string => `${key.padEnd(14)}${value}\n`;
  const { node, onnxruntime, platform, cpu, memoryBytes, freeMemoryBytes } = machine;
  process.stdout.write(
    [
      line('Node', `${node}, ${platform}`),
      line('ONNX Runtime', onnxruntime),
      line('CPU', `${cpu}, ${threads} threads`),
      line('memory', `${gibibytes(memoryBytes)}, ${gibibytes(freeMemoryBytes)} free`),
      ...(gpus.length > 0 ? gpus.map((gpu) => line('GPU', gpuWords(gpu))) : [line('GPU', 'none with a driver')]),
      line('Vulkan', vulkan.length > 0 ? `drivers ${vulkan.join(', ')}` : 'no driver'),
      ...devices.map((device) => line(device.device, deviceWords(device))),
    ].join(''),
  );
};

export const command: CommandModule = {
  examples: ['weft doctor', 'weft doctor --json'],
  configure: (command: Command): void => {
    command
      .option('--json', 'one JSON object on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<{ json?: true }>()));
  },
};
