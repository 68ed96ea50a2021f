import { expect, it } from 'vitest';
import { formatReport } from './report.ts';

const report = {
  model: { name: 'tiny', sha256: 'a'.repeat(64) },
  rounds: 4,
  languages: {
    tr: { base: 8, federated: 4, local: { turkish: 3, polish: 7 } },
    pl: { base: 7.5, federated: 5, local: { turkish: 4.5, polish: 2.5 } },
  },
  nodes: [
    { name: 'turkish', language: 'tr', examples: 10, bytesUp: 1_500_000, bytesDown: 2_250_000 },
    { name: 'polish', language: 'pl', examples: 1234, bytesUp: 1_500_000, bytesDown: 2_250_000 },
  ],
  seconds: { training: 10, transfer: 0.5, aggregation: 0.25, total: 33.3 },
  adapter: { path: 'adapter', sha256: 'b'.repeat(64) },
};

it('lines figures up below their headings, without colours for a file', () => {
  const lines = formatReport(report).split('\n');
  const head = lines.find((line) => line.startsWith('held-out loss'))!;
  const turkish = lines.find((line) => line.startsWith('Turkish'))!;
  expect(turkish.length).toBe(head.length);
  expect(turkish.trim().split(/ +/)).toEqual(['Turkish', '8.000', '3.000', '7.000', '4.000', '1.333']);
  expect(lines.join('')).not.toContain('\u001B');
});

it('makes the best loss of each language stand out on a terminal', () => {
  expect(formatReport(report, true)).toContain('\u001B[1m2.500');
});

it('counts what the federation won and what it lost', () => {
  expect(formatReport(report)).toContain(
    'better than the base model in 2 of 2 languages, and better than an adapter from another node alone in 1 of 2 cases.',
  );
});
