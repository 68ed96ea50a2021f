import { WeftError } from '@weft/shared';
import { parse } from 'yaml';
import type { z } from 'zod';

export interface ConfigSources {
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The text of a YAML file, and its name for messages. */
  readonly file?: { readonly path: string; readonly text: string };
}

/** `grpcPort` is WEFT_GRPC_PORT in the environment. */
export const environmentName = (key: string): string =>
  `WEFT_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;

/**
 * Flags over environment over file over default.
 * @throws WEFT_CONFIG_INVALID that lists every problem: key, source, value, rule
 */
export function resolveConfig<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  { flags = {}, env = {}, file }: ConfigSources,
): z.infer<z.ZodObject<Shape>> {
  const fromFile = file === undefined ? {} : parseFile(file);
  const values: Record<string, unknown> = { ...fromFile };
  const sources: Record<string, string> = Object.fromEntries(
    Object.keys(fromFile).map((key) => [key, file?.path ?? 'the file']),
  );
  for (const key of Object.keys(schema.shape)) {
    const name = environmentName(key);
    if (env[name] !== undefined) {
      values[key] = env[name];
      sources[key] = name;
    }
    if (flags[key] !== undefined) {
      values[key] = flags[key];
      sources[key] = `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    }
  }
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.flatMap(({ path, message, ...issue }) => {
    if ('keys' in issue) return issue.keys.map((key) => `${key} (${sources[key] ?? 'the file'}): there is no such key`);
    const key = String(path[0] ?? '');
    return [`${key} (${sources[key] ?? 'default'}): ${JSON.stringify(values[key])}: ${message}`];
  });
  throw new WeftError(
    'WEFT_CONFIG_INVALID',
    `the configuration has ${problems.length} mistake${problems.length === 1 ? '' : 's'}:\n  ${problems.join('\n  ')}`,
    {
      problems: problems.length,
    },
  );
}

function parseFile({ path, text }: { path: string; text: string }): Record<string, unknown> {
  try {
    const parsed: unknown = parse(text) ?? {};
    if (typeof parsed === 'object' && !Array.isArray(parsed)) return parsed as Record<string, unknown>;
  } catch (cause) {
    throw new WeftError('WEFT_CONFIG_INVALID', `${path} is not YAML: ${(cause as Error).message}`, {}, { cause });
  }
  throw new WeftError('WEFT_CONFIG_INVALID', `${path} is not a list of keys with values`);
}
