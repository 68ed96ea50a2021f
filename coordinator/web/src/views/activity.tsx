import type { EventView } from '@weft/shared';
import { formatCount, formatTime, shortHash } from '../format.ts';
import { roundLabel } from '../state/round-of.ts';
import { toHref } from '../state/route.ts';
import { activity, nodes, runs } from '../state/store.ts';
import { Table } from './table.tsx';

const longest = 48;

const describeValue = (name: string, value: string | number | boolean): string => {
  if (typeof value !== 'number') return String(value).length > longest ? `${shortHash(String(value))}…` : String(value);
  if (name.endsWith('At')) return formatTime(value);
  return Number.isInteger(value) ? formatCount(value) : value.toPrecision(4);
};

/** The values of an event that fit in a line; the whole event is in the log. */
const describe = (data: EventView['data']): string =>
  Object.entries(data)
    .flatMap(([name, value]) =>
      typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
        ? [`${name} ${describeValue(name, value)}`]
        : [],
    )
    .join(', ');

export function Activity() {
  const nodeName = (id: string): string => nodes.value?.find((node) => node.id === id)?.name ?? shortHash(id);
  const runName = (id: string): string => runs.value?.find((run) => run.id === id)?.name ?? shortHash(id);
  const shown = activity.value.toReversed();
  return (
    <>
      <div class="title">
        <h1 tabIndex={-1}>Activity</h1>
      </div>
      <p>The newest rows of the event table, the same that the coordinator recovers from.</p>
      {shown.length === 0 ? (
        <p class="card empty">Nothing has happened since this page was opened. Rows appear here as they are written.</p>
      ) : (
        <Table label="Table of events" head={['Time', 'Event', 'Run', 'Round', 'Node', 'Data']}>
          {shown.map((event) => (
            <tr key={event.seq}>
              <td>{formatTime(event.at)}</td>
              <td>
                <code>{event.kind}</code>
              </td>
              <td>
                {event.runId !== null && <a href={toHref({ name: 'run', id: event.runId })}>{runName(event.runId)}</a>}
              </td>
              <td>{event.round === null ? '' : roundLabel(event.round)}</td>
              <td>{event.nodeId === null ? '' : nodeName(event.nodeId)}</td>
              <td class="faint data">{describe(event.data)}</td>
            </tr>
          ))}
        </Table>
      )}
    </>
  );
}
