import type { EventView } from '@weft/shared';
import { formatCount, formatTime, shortHash } from '../format.ts';

/** Signed bodies and the like are for machines: they stand in the table of events, not in a line for people. */
const mostCharacters = 300;
const isBytes = (text: string): boolean => text.length > 48 && !/\s/.test(text);

const describeValue = (name: string, value: unknown): string | undefined => {
  if (typeof value === 'number') {
    if (name.endsWith('At')) return formatTime(value);
    return Number.isInteger(value) ? formatCount(value) : value.toPrecision(4);
  }
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'string') {
    if (/^[0-9a-f]{64}$/.test(value)) return `${shortHash(value)}…`;
    return isBytes(value) ? undefined : value.slice(0, mostCharacters);
  }
  // a blob by its hash, a reason by its words
  if (typeof value !== 'object' || value === null) return undefined;
  if ('sha256' in value) return describeValue(name, value.sha256);
  return 'message' in value ? describeValue(name, value.message) : undefined;
};

/** The values of an event that fit in a line; the whole event is in the table. */
export const describeEvent = (data: EventView['data']): string =>
  Object.entries(data)
    .flatMap(([name, value]) => {
      const said = describeValue(name, value);
      return said === undefined ? [] : [`${name} ${said}`];
    })
    .join(', ');
