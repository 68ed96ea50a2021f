import { expect, test } from 'vitest';
import { describeEvent } from './describe-event.ts';

test('an event is told in a line: hashes short, reasons whole, signed bodies not at all', () => {
  const message = 'nothing was trained or sent: the node’s operator allows it in policy.yaml';
  expect(
    describeEvent({
      adapter: { sha256: 'ab'.repeat(32), sizeBytes: 40 },
      reason: { code: 'WEFT_POLICY_REFUSED', message },
      body: 'AAEC'.repeat(40),
      weightSum: 1500,
      share: 1 / 3,
      nodeIds: ['n_1'],
    }),
  ).toBe(`adapter abababababab…, reason ${message}, weightSum 1,500, share 0.3333`);
});
