import { WeftError } from '@weft/shared';
import { parseDocument } from 'yaml';
import type { z } from 'zod';
import { allowedValues } from './allowed-values.ts';
import { policyKeys, policySchema, type Policy, type PolicyKey } from './policy.ts';
import { docOf } from './policy-text.ts';

/** A policy is a page; a list of a thousand hashes still fits. */
export const maxPolicyBytes = 128 * 1024;

/** A mistake as it is told: path, value, rule, and how to mend it where that is known. */
export interface PolicyMistake {
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
  throw invalid(from, mistakesOf(parsed.error, value));
}

/** What `checkPolicy` would throw over, one by one; the first part of a path is a key. */
export function policyMistakes(value: unknown): readonly PolicyMistake[] {
  const parsed = policySchema.safeParse(value);
  return parsed.success ? [] : mistakesOf(parsed.error, value);
}

const mistakesOf = (error: z.ZodError, value: unknown): PolicyMistake[] =>
  error.issues.flatMap((issue): PolicyMistake[] => {
    const { path } = issue;
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ path: key, rule: 'there is no such key', fix: suggestion(key) }));
    }
    const key = policyKeys.find((name) => name === path[0]);
    if (key === undefined) return [{ path: 'file', value, rule: 'must be lines of the form `key: value`' }];
    return [
      {
        path: path.join('.'),
        value: valueAt(value, path),
        rule: ruleOf(issue, key),
        fix: `it says: ${docOf(key)}`,
      },
    ];
  });

/** The schema's own words where it has some; what zod makes up is for programmers. */
function ruleOf(issue: z.core.$ZodIssue, key: PolicyKey): string {
  if (issue.code === 'custom' || issue.code === 'invalid_format') return issue.message;
  if (issue.code === 'too_small' && issue.origin === 'array') return 'is empty: list one at least';
  if (issue.code === 'too_big' && issue.origin === 'array') return `lists more than ${issue.maximum}`;
  if (issue.code === 'too_big' && issue.origin === 'string') return `has more than ${issue.maximum} characters`;
  return `must be ${allowedValues(key, { ofItem: issue.path.length > 1 })}`;
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

function invalid(from: string, problems: readonly PolicyMistake[]): WeftError {
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
