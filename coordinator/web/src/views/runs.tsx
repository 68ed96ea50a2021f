import { formatTime } from '../format.ts';
import { roundOf } from '../state/round-of.ts';
import { toHref } from '../state/route.ts';
import { runs } from '../state/store.ts';
import { Badge } from './badge.tsx';
import { Table } from './table.tsx';

export function Runs() {
  const shown = runs.value;
  return (
    <>
      <div class="title">
        <h1 tabIndex={-1}>Runs</h1>
        <a class="button" href={toHref({ name: 'new-run' })}>
          New run
        </a>
      </div>
      {shown === undefined && <p>Loading…</p>}
      {shown?.length === 0 && (
        <div class="card empty">
          <h2>No run yet</h2>
          <p>
            A run fine-tunes one base model over several rounds. Create one on the coordinator's machine, which also
            makes the base model known:
          </p>
          <pre>weft run create SPEC.yaml --model PATH</pre>
          <p>
            Nodes come first: <a href={toHref({ name: 'nodes' })}>create an invite</a> for each.
          </p>
        </div>
      )}
      {shown !== undefined && shown.length > 0 && (
        <Table label="Table of runs" head={['Run', 'State', 'Round', 'Phase', 'Mode', 'Created']}>
          {shown
            .toSorted((a, b) => b.createdAt - a.createdAt)
            .map((run) => (
              <tr key={run.id}>
                <th scope="row">
                  <a href={toHref({ name: 'run', id: run.id })}>{run.name}</a>
                </th>
                <td>
                  <Badge word={run.state} />
                </td>
                <td>{roundOf(run)}</td>
                <td>{run.phase}</td>
                <td>{run.mode}</td>
                <td>{formatTime(run.createdAt)}</td>
              </tr>
            ))}
        </Table>
      )}
    </>
  );
}
