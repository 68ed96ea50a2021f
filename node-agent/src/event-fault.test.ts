import { WeftError } from '@weft/shared';
import { expect, test } from 'vitest';
import { toEventFault } from './event-fault.ts';

const diary = 'On Tuesday grandmother told me the secret.';

test('a parser that quotes what it read, and a path in a message, stay out of the event', () => {
  for (const broken of [
    () => JSON.parse(diary) as unknown,
    () => {
      throw new Error(`ENOENT /home/amina/diary.txt\n    at ${diary} (/home/amina/diary.txt:1:1)`);
    },
  ]) {
    let fault = '';
    try {
      broken();
    } catch (error) {
      fault = JSON.stringify(toEventFault(error));
    }
    expect(fault).toContain('WEFT_INTERNAL');
    expect(fault).toContain('event-fault.test.ts');
    expect(fault).not.toContain('Tuesday');
    expect(fault).not.toContain('diary');
  }
});

test('of a catalogued error the code, what to do and the numbers are told', () => {
  const error = new WeftError('WEFT_DATA_TOO_SHORT', `${diary} is short`, {
    file: '/home/amina/diary.txt',
    tokens: 3,
    sequenceLength: 32,
  });
  expect(toEventFault(error)).toEqual({
    code: 'WEFT_DATA_TOO_SHORT',
    todo: error.todo,
    numbers: { tokens: 3, sequenceLength: 32 },
  });
});
