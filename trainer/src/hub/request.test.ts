import { isWeftError } from '@weft/shared';
import { expect, test } from 'vitest';
import { startHub } from '../../../test/hub-server.ts';
import { parseReference } from './reference.ts';
import { refusal } from './refusal.ts';
import { bodyOf, nextAddress, request, silenceSignal } from './request.ts';

const reference = parseReference('hf:weft/tiny');

test('a connection that falls silent is ended, and worth another try', async () => {
  await using hub = await startHub({
    'weft/tiny': { revisions: { main: { 'model.safetensors': Buffer.alloc(1000) } } },
  });
  hub.fault = ({ place }) => (place === 'cdn' ? { stallAfterBytes: 10 } : undefined);
  const silence = silenceSignal(undefined, 200);
  const read = async (): Promise<void> => {
    const address = `${hub.endpoint}/weft/tiny/resolve/main/model.safetensors`;
    const access = { endpoint: hub.endpoint, token: undefined };
    for await (const _ of bodyOf(await request(address, { access, reference, signal: silence.signal })))
      silence.alive();
  };
  const error = await read().catch((cause: unknown) => cause);
  silence.release();
  expect(isWeftError(error, 'WEFT_HUB_UNREACHABLE') && error.message).toMatch(/\(silent\)$/);
});

test.each([
  ['/a?b', 'https://hub.example.org/a?b'],
  ['//cdn.example.org/a', 'https://cdn.example.org/a'],
  ['https://cdn.example.org/a', 'https://cdn.example.org/a'],
])('a redirect from https to %s is followed', (location, address) => {
  expect(nextAddress(location, new URL('https://hub.example.org/x')).href).toBe(address);
});

test.each(['http://cdn.example.org/a', 'http://hub.example.org/a', 'file:///a', 'data:,a', 'https://', null])(
  'a redirect from https to %s is not',
  (location) => {
    expect(() => nextAddress(location, new URL('https://hub.example.org/x'))).toThrow(/^hub\.example\.org redirects/);
  },
);

test.each([
  [{ 'retry-after': '12' }, 12_000],
  [{ 'retry-after': new Date(0).toUTCString() }, 0],
  [{ 'retry-after': 'soon' }, undefined],
  [{ ratelimit: '"resolvers";r=0;t=34' }, 34_000],
  [{ ratelimit: '"resolvers";r=0' }, undefined],
  [{}, undefined],
])('of %j the time to wait is %s', (headers: Record<string, string>, waitMs) => {
  const access = { endpoint: 'https://hub.example.org', token: undefined };
  const error = refusal(new Response('', { status: 429, headers }), reference, access, true);
  expect([error.code, error.details['retryAfterMs']]).toEqual(['WEFT_HUB_BUSY', waitMs]);
});
