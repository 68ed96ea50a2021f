import process from 'node:process';
import { createInterface } from 'node:readline';

/** The subject's side: says that it is ready, then does the steps that each line of standard input asks for. */
export async function stepOnRequest(step: () => Promise<number | undefined>): Promise<void> {
  process.stdout.write('{}\n');
  for await (const line of createInterface({ input: process.stdin })) {
    const [ms, values]: [number[], number[]] = [[], []];
    for (let left = Number(line); left > 0; left--) {
      const start = performance.now();
      const value = await step();
      ms.push(performance.now() - start);
      if (value !== undefined) values.push(value);
    }
    process.stdout.write(`${JSON.stringify({ ms, values })}\n`);
  }
}
