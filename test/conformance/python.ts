import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/** What only some machines can do: PyTorch and its kin, llama.cpp, a browser, a container engine, a Vulkan driver. */
export type Witness = 'conformance' | 'llama' | 'browser' | 'compose' | 'webgpu';

const repository = fileURLToPath(new URL('../..', import.meta.url));

/** `WEFT_REQUIRE=conformance,browser`: where it is named, a witness that is missing is a failure, not a skip. */
export const required = (witness: Witness): boolean =>
  (process.env['WEFT_REQUIRE'] ?? '')
    .split(',')
    .map((name) => name.trim())
    .includes(witness);

const hasModules = (python: string, modules: readonly string[]): boolean => {
  const script =
    'import sys; from importlib.util import find_spec; sys.exit(not all(find_spec(m) for m in sys.argv[1:]))';
  return spawnSync(python, ['-c', script, ...modules], { stdio: 'ignore' }).status === 0;
};

/** The first Python that has all these modules: $WEFT_PYTHON, the repository's own environment, python3. */
export const findPython = (modules: readonly string[]): string | undefined => {
  const own = process.env['WEFT_PYTHON'];
  const candidates = own === undefined ? [join(repository, '.cache/python/bin/python'), 'python3'] : [own];
  return candidates.find((python) => hasModules(python, modules));
};

/** A SmolLM2-135M-Instruct GGUF: $WEFT_TEST_GGUF, or the first one in the repository's .cache/models. */
export const findGguf = (): string | undefined => {
  const own = process.env['WEFT_TEST_GGUF'];
  if (own !== undefined) return existsSync(own) ? own : undefined;
  const folder = join(repository, '.cache/models');
  const name = existsSync(folder) ? readdirSync(folder).find((file) => file.endsWith('.gguf')) : undefined;
  return name === undefined ? undefined : join(folder, name);
};

/** A Vulkan driver's manifest; lavapipe, which needs no GPU, is one (test/webgpu/install-lavapipe.sh). */
export const findVulkan = (): string | undefined =>
  ['/usr/share/vulkan/icd.d', '/etc/vulkan/icd.d']
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((file) => join(folder, file)))
    .find((file) => file.endsWith('.json'));

/**
 * For `describe.skipIf(skips('conformance', { python, gguf }))`: true where something is missing and may be,
 * an error where WEFT_REQUIRE names the witness.
 */
export const skips = (witness: Witness, needs: Readonly<Record<string, string | undefined>>): boolean => {
  const missing = Object.keys(needs).filter((name) => needs[name] === undefined);
  if (missing.length > 0 && required(witness)) {
    throw new Error(`WEFT_REQUIRE names ${witness}, but this machine lacks: ${missing.join(', ')}`);
  }
  return missing.length > 0;
};
