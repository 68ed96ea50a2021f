import { createContext, Script } from 'node:vm';

/** Thrown by boundedTime in place of what the work would have returned. */
export class OutOfTime extends Error {
  override readonly name = 'OutOfTime';
}

const call = new Script('work()');
const context = createContext({ work: undefined });
let isBounded = false;

/**
 * Ends work that does not return within the limit: V8 interrupts whatever runs below a script with a time-out, loops of
 * ours and of libraries too. Inside a bound another one costs nothing and changes nothing. Watching takes a fraction of a
 * millisecond: bound the work for a record, not each of its steps.
 * @throws OutOfTime, and what the work throws
 */
export function boundedTime<T>(limitMs: number, work: () => T): T {
  if (isBounded) return work();
  const result: { value?: T } = {};
  context['work'] = () => {
    result.value = work();
  };
  isBounded = true;
  try {
    call.runInContext(context, { timeout: limitMs });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT')
      throw new OutOfTime(`no end in ${limitMs} ms`);
    throw error;
  } finally {
    isBounded = false;
    context['work'] = undefined;
  }
  return result.value as T;
}
