import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import process from 'node:process';
import type { Command } from 'commander';
import type { CommandModule } from '../command.ts';

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

const run = async ({ json }: { json?: true }): Promise<void> => {
  const { runtimeVersion, surveyDevices } = await import('@weft/trainer');
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
  const devices = await surveyDevices(threads);
  if (json) {
    process.stdout.write(`${JSON.stringify({ ...machine, devices })}\n`);
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
      ...devices.map(({ device, loads, gigaflopsPerSec = 0, problems }) => {
        const found = loads ? [`loads, ${gigaflopsPerSec.toFixed(0)} GFLOP/s`, ...problems] : problems;
        return line(device, found.join('; '));
      }),
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
