import { afterEach, describe, expect, it, vi } from 'vitest';
import { findPython, skips } from './python.ts';

describe('a witness', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('is skipped where it is missing, and never where it is there', () => {
    vi.stubEnv('WEFT_REQUIRE', '');
    expect(skips('conformance', { python: undefined })).toBe(true);
    expect(skips('conformance', { python: '/usr/bin/python3', gguf: 'model.gguf' })).toBe(false);
  });

  it('fails where it is missing and WEFT_REQUIRE names it', () => {
    vi.stubEnv('WEFT_REQUIRE', 'browser, conformance');
    expect(() => skips('conformance', { python: undefined, gguf: 'model.gguf' })).toThrow('lacks: python');
    expect(skips('compose', { engine: undefined })).toBe(true);
  });

  it('is no Python that lacks a module', () => {
    vi.stubEnv('WEFT_PYTHON', 'python3');
    expect(findPython(['no_such_module_of_weft'])).toBeUndefined();
  });
});
