import process from 'node:process';
import type { Key } from 'node:readline';
import { cancel, intro, isCancel, multiselect, outro, select, text } from '@clack/prompts';
import type { PolicyKey, PolicyMistake } from '@weft/node-agent';
import pc from 'picocolors';
import { BrokenOff } from '../interrupt.ts';
import { textOf, valueOf } from './policy-flags.ts';
import { wrapped } from '../wrapped.ts';
import { questions, type Answers, type Question } from './questions.ts';

const output = process.stderr;

interface Asked {
  /** What holds where an answer is left empty. */
  readonly given: Answers;
  /** Keys that are not asked for. */
  readonly byFlag: ReadonlySet<string>;
  readonly mistakesIn: (answers: Answers) => readonly PolicyMistake[];
}

/**
 * Asks on standard error, key by key.
 * @returns what is given, with the answers over it
 * @throws BrokenOff at Ctrl-C, Ctrl-D or Escape
 */
export async function askPolicy(asked: Asked): Promise<Answers> {
  intro('What may this node take part in? Enter takes what is suggested, Ctrl-C writes nothing.', { output });
  const left = new AbortController();
  // clack knows Ctrl-C and Escape; at the end of its input it would wait for ever
  const leave = (_text: string, { ctrl, name }: Key): void => {
    if (ctrl === true && name === 'd') left.abort();
  };
  process.stdin.on('keypress', leave);
  try {
    return await askAll(asked, left.signal);
  } finally {
    process.stdin.off('keypress', leave);
  }
}

async function askAll({ given, byFlag, mistakesIn }: Asked, signal: AbortSignal): Promise<Answers> {
  let answers = given;
  const open = questions.filter(({ key }) => !byFlag.has(key));
  for (let question = open.shift(); question !== undefined; question = open.shift()) {
    const { key, isIdle } = question;
    if (isIdle?.(answers) === true) continue;
    const later = new Set<string>(open.map((next) => next.key));
    const mistakeOf = (value: unknown): string | undefined => {
      const tried = { ...answers, [key]: value };
      // what an answer leaves open for a later question is no mistake of this one
      const mistake = mistakesIn(tried).find(({ path }) => !later.has(path.split('.')[0]!));
      return mistake === undefined ? undefined : mistakeWords(mistake, key);
    };
    const answer = await ask(question, answers[key], mistakeOf, signal);
    if (isCancel(answer)) {
      cancel('Nothing was written.', { output });
      throw new BrokenOff();
    }
    answers = { ...answers, [key]: answer };
  }
  outro('All else has a default, and stands in the file to be edited.', { output });
  return answers;
}

async function ask(
  { key, asks, hint, choices, many }: Question,
  suggested: unknown,
  mistakeOf: (value: unknown) => string | undefined,
  signal: AbortSignal,
): Promise<unknown> {
  const message = hint === undefined ? asks : `${asks}\n${barred(hint)}`;
  if (choices === undefined) {
    const isOpen = mistakeOf(suggested) !== undefined;
    const suggestion = isOpen ? '' : textOf(suggested);
    const valueFrom = (typed = ''): unknown => (typed.trim() === '' && !isOpen ? suggested : valueOf(key, typed));
    const typed = await text({
      message,
      placeholder: suggestion,
      defaultValue: suggestion,
      output,
      signal,
      validate: (typing) => mistakeOf(valueFrom(typing)),
    });
    return isCancel(typed) ? typed : valueFrom(typed);
  }
  if (many !== true) {
    const options = Object.entries(choices).map(([value, words]) => ({ value, label: `${words} (${value})` }));
    return select({ message: asks, options, initialValue: textOf(suggested), output, signal });
  }
  const options = Object.entries(choices).map(([value, words]) => ({ value, label: `${value}: ${words}` }));
  const initialValues = Array.isArray(suggested) ? suggested.map(String) : [];
  const chosen = await multiselect({
    message: hint === undefined ? asks : `${asks} ${hint}`,
    options,
    initialValues,
    required: false,
    output,
    signal,
  });
  return isCancel(chosen) || chosen.length > 0 ? chosen : 'none';
}

/** The frame of clack goes around a question of one line only. */
const barred = (hint: string): string =>
  wrapped(hint, { columns: (output.columns || 80) - 3 })
    .trimEnd()
    .split('\n')
    .map((line) => `${pc.gray('│')}  ${pc.dim(line)}`)
    .join('\n');

/** The key itself is what is asked for: only another one is named. */
const mistakeWords = ({ path, value, rule }: PolicyMistake, key: PolicyKey): string => {
  if (path.startsWith(`${key}.`)) return value === '' ? rule : `${textOf(value)}: ${rule}`;
  return path === key ? rule : `${path} ${rule}`;
};
