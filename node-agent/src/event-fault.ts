import { toWeftError } from '@weft/shared';
import type { EventFault } from './events.ts';
import { reasonOfRefusal, refusedRules } from './policy/refuse.ts';

const maxFrames = 6;

/** What may be logged and shown of an error. Messages stay behind: a parser's message quotes what it read. */
export function toEventFault(error: unknown): EventFault {
  const fault = toWeftError(error);
  const { code, todo, details, cause } = fault;
  const rule = refusedRules(fault);
  const why = reasonOfRefusal(fault);
  const numbers = Object.fromEntries(
    Object.entries(details).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );
  return {
    code,
    todo,
    numbers,
    ...(rule !== undefined && { rule }),
    ...(why !== undefined && { why }),
    ...(code === 'WEFT_INTERNAL' && { where: framesOf(cause ?? error) }),
  };
}

/** Function names and places of the stack, without the message that comes before them. */
function framesOf(error: unknown): string[] {
  if (!(error instanceof Error) || error.stack === undefined) return [];
  const head = `${error.name}: ${error.message}`;
  const frames = error.stack.startsWith(head) ? error.stack.slice(head.length) : '';
  return frames
    .split('\n')
    .map((line) => /^ {4}at (?:async )?(?:(.*) \()?(?:.*[\\/])?([\w.-]+:\d+:\d+)\)?$/.exec(line))
    .flatMap((match) => (match === null ? [] : [`${match[1] ?? 'anonymous'} ${match[2]}`]))
    .slice(0, maxFrames);
}
