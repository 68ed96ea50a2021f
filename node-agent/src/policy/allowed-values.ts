import { z } from 'zod';
import { policySchema, type PolicyKey } from './policy.ts';

/** What of JSON schema the policy's keys are made of. */
interface Form {
  readonly const?: string | number;
  readonly enum?: readonly string[];
  readonly type?: string;
  readonly items?: Form;
  readonly anyOf?: readonly Form[];
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
}

/**
 * What may stand for a key, in words that follow from the schema: `any or a whole number from 1 to 1024`.
 * @param ofItem what may stand in its list
 */
export function allowedValues(key: PolicyKey, { ofItem = false } = {}): string {
  const form = z.toJSONSchema(policySchema.shape[key], { io: 'input', unrepresentable: 'any' }) as Form;
  const list = [form, ...(form.anyOf ?? [])].find(({ items }) => items !== undefined);
  return wordsOf(ofItem && list?.items !== undefined ? list.items : form);
}

function wordsOf(form: Form): string {
  if (form.anyOf !== undefined) return either(form.anyOf.map(wordsOf));
  if (form.const !== undefined) return String(form.const);
  if (form.enum !== undefined) return either(form.enum);
  if (form.items !== undefined) {
    const { enum: names, const: name } = form.items;
    const listed = names ?? (name === undefined ? undefined : [name]);
    return `a list${listed === undefined ? '' : ` of ${listed.join(', ')}`}`;
  }
  if (form.type === 'integer') return `a whole number from ${form.minimum ?? 1} to ${form.maximum}`;
  if (form.type !== 'number') return 'a text';
  return form.exclusiveMinimum === undefined
    ? `a number from ${form.minimum} to ${form.maximum}`
    : `a number above ${form.exclusiveMinimum}, ${form.maximum} at most`;
}

const either = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
