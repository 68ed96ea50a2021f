import { WeftError } from '@weft/shared';
import { describe, expect, it } from 'vitest';
import { errorJson, errorText, reportError } from './report-error.ts';

describe('an error on its way to the shell', () => {
  it('keeps its code, its sentence, what to do and its exit code', () => {
    const reported = reportError(
      new WeftError('WEFT_PORT_IN_USE', 'port 80 is taken', { port: 80 }),
      'weft coordinator start',
    );
    expect(errorText(reported)).toBe('port 80 is taken [WEFT_PORT_IN_USE]\nname another port, or 0 for any free one\n');
    expect(JSON.parse(errorJson(reported))).toEqual({
      error: {
        code: 'WEFT_PORT_IN_USE',
        what: 'port 80 is taken',
        todo: 'name another port, or 0 for any free one',
        details: { port: 80 },
      },
    });
    expect(reported.exit).toBe(6);
  });

  it('is catalogued where the operating system spoke', () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    expect(reportError(full, 'weft')).toMatchObject({ code: 'WEFT_DISK_FULL', exit: 6 });
    const taken = Object.assign(new Error('listen EADDRINUSE'), { code: 'EADDRINUSE' });
    expect(reportError(taken, 'weft')).toMatchObject({ code: 'WEFT_PORT_IN_USE', exit: 6 });
    const denied = Object.assign(new Error("EACCES: permission denied, mkdir '/x'"), { code: 'EACCES' });
    expect(reportError(denied, 'weft')).toMatchObject({ code: 'WEFT_PATH_UNUSABLE', what: denied.message, exit: 6 });
  });

  it('carries its stack where it is a fault of ours', () => {
    const reported = reportError(new TypeError('x is undefined'), 'weft');
    expect(reported).toMatchObject({ code: 'WEFT_INTERNAL', exit: 1 });
    expect(reported.what).toContain('report-error.test.ts');
  });
});
