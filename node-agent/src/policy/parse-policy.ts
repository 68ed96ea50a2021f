import { WeftError } from '@weft/shared';
import { parseDocument } from 'yaml';
import { policyKeys, policySchema, type Policy } from './policy.ts';

/** A policy is a page; a list of a thousand hashes still fits. */
export const maxPolicyBytes = 128 * 1024;

/** A mistake as it is told: path, value, rule, and how to mend it where that is known. */
interface Problem {
  readonly path: string;
  readonly value?: unknown;
  readonly rule: string;
  readonly fix?: string | undefined;
}

/**
 * @param text YAML of an operator or of anybody else; aliases, tags and further documents are refused
 * @param from its name in the message
 * @throws WEFT_POLICY_INVALID with every mistake; a key that is not known is one
 */
export function parsePolicy(text: string, from = 'policy.yaml'): Policy {
  const size = Buffer.byteLength(text);
  if (size > maxPolicyBytes)
    throw invalid(from, [{ path: 'file', rule: `has ${size} bytes, the limit is ${maxPolicyBytes}` }]);
  return checkPolicy(readYaml(text, from), from);
}

/** @throws WEFT_POLICY_INVALID */
export function checkPolicy(value: unknown, from: string): Policy {
  const parsed = policySchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(
    from,
    parsed.error.issues.flatMap(({ path, message, ...issue }): Problem[] => {
      if (issue.code === 'unrecognized_keys') {
        return issue.keys.map((key) => ({ path: key, rule: 'there is no such key', fix: suggestion(key) }));
      }
      const key = path.join('.') || 'file';
      const doc = policySchema.shape[path[0] as keyof typeof policySchema.shape]?.description;
      return [{ path: key, value: valueAt(value, path), rule: message, fix: doc && `it says: ${doc}` }];
    }),
  );
}

function readYaml(text: string, from: string): unknown {
  try {
    const document = parseDocument(text, { schema: 'core', version: '1.2' });
    // what YAML warns of (an unknown tag, say) is a mistake in a file that decides
    const mistakes = [...document.errors, ...document.warnings];
    if (mistakes.length > 0)
      throw invalid(
        from,
        mistakes.map(({ message }) => ({ path: 'file', rule: message.split('\n')[0] ?? 'is not YAML' })),
      );
    // an empty file says nothing, and nothing is not a policy
    return document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    if (error instanceof WeftError) throw error;
    throw invalid(from, [{ path: 'file', rule: (error as Error).message.split('\n')[0] ?? 'is not YAML' }]);
  }
}

function invalid(from: string, problems: readonly Problem[]): WeftError {
  const lines = problems.map(
    ({ path, value, rule, fix }) =>
      `${path}: ${value === undefined ? '' : `${shown(value)}: `}${rule}${fix === undefined ? '' : `; ${fix}`}`,
  );
  return new WeftError(
    'WEFT_POLICY_INVALID',
    `${from} has ${problems.length} mistake${problems.length === 1 ? '' : 's'}, so nothing is trained:\n  ${lines.join('\n  ')}`,
    { problems: problems.length },
  );
}

/** A value of a megabyte helps nobody in a message. */
const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
};

const valueAt = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (inner, key) =>
      typeof inner === 'object' && inner !== null && Object.hasOwn(inner, key)
        ? (inner as Record<PropertyKey, unknown>)[key]
        : undefined,
    value,
  );

/** The key that was meant, where one is within a few letters or holds the same words. */
function suggestion(key: string): string {
  const wanted = key.toLowerCase().slice(0, 64);
  const ranked = policyKeys
    .map((known) => ({ known, distance: editDistance(wanted, known.toLowerCase()) }))
    .toSorted((a, b) => a.distance - b.distance);
  const [nearest] = ranked;
  const holding = policyKeys.find((known) => wanted.length >= 4 && known.toLowerCase().includes(wanted));
  if (nearest !== undefined && nearest.distance <= 3) return `did you mean ${nearest.known}?`;
  return holding === undefined ? `the keys are ${policyKeys.join(', ')}` : `did you mean ${holding}?`;
}

/** Wagner and Fischer 1974: letters to insert, delete or replace. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++)
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[to.length]!;
}
