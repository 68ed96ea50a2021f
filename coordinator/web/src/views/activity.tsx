import { formatTime, shortHash } from '../format.ts';
import { describeEvent } from '../state/describe-event.ts';
import { roundLabel } from '../state/round-of.ts';
import { toHref } from '../state/route.ts';
import { activity, nodes, runs } from '../state/store.ts';
import { Table } from './table.tsx';

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
              <th scope="row" class="time">
                {formatTime(event.at)}
              </th>
              <td>
                <code>{event.kind}</code>
              </td>
              <td>
                {event.runId !== null && <a href={toHref({ name: 'run', id: event.runId })}>{runName(event.runId)}</a>}
              </td>
              <td>{event.round === null ? '' : roundLabel(event.round)}</td>
              <td>{event.nodeId === null ? '' : nodeName(event.nodeId)}</td>
              <td class="faint data">{describeEvent(event.data)}</td>
            </tr>
          ))}
        </Table>
      )}
    </>
  );
}
