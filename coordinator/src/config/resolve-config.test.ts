import { describe, expect, it } from 'vitest';
import { coordinatorConfigSchema } from './coordinator-config.ts';
import { resolveConfig } from './resolve-config.ts';

const file = (text: string) => ({ path: 'config.yaml', text });

describe('the configuration', () => {
  it('takes flags over the environment over the file over defaults', () => {
    const config = resolveConfig(coordinatorConfigSchema, {
      flags: { grpcPort: 1, name: undefined },
      env: { WEFT_GRPC_PORT: '2', WEFT_HTTP_PORT: '3' },
      file: file('grpcPort: 4\nhttpPort: 5\nname: libraries\n'),
    });
    expect(config).toMatchObject({ grpcPort: 1, httpPort: 3, name: 'libraries', grpcHost: '127.0.0.1' });
  });

  it('tells every mistake at once, and where each came from', () => {
    const resolve = () =>
      resolveConfig(coordinatorConfigSchema, {
        flags: { advertise: 'no port' },
        env: { WEFT_GRPC_PORT: '70000' },
        file: file('grcpHost: 0.0.0.0\nlogLevel: loud\n'),
      });
    for (const part of [
      '4 mistakes',
      '--advertise',
      'WEFT_GRPC_PORT',
      '70000',
      'grcpHost (config.yaml)',
      'logLevel (config.yaml): "loud"',
    ]) {
      expect(resolve, part).toThrow(part);
    }
  });

  it('refuses a file that is not a list of keys', () => {
    expect(() => resolveConfig(coordinatorConfigSchema, { file: file('- a\n') })).toThrow('not a list of keys');
    expect(() => resolveConfig(coordinatorConfigSchema, { file: file('a: [') })).toThrow('not YAML');
    expect(resolveConfig(coordinatorConfigSchema, { file: file('') }).grpcPort).toBe(7443);
  });
});
