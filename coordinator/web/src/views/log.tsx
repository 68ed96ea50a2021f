import type { LogView } from '@weft/shared';
import { formatCount } from '../format.ts';
import { verifyCommand } from '../state/verify-command.ts';
import { nodes, transparencyLog } from '../state/store.ts';
import { useAnnounced } from './announced.ts';
import { CommandLine } from './command-line.tsx';
import { OrganisationName } from './organisation-name.tsx';
import { Table } from './table.tsx';

/** Who stands behind the log beside the coordinator. */
const cosigners = ({ cosigned }: LogView): string => {
  const count = cosigned?.organisations.length ?? 0;
  if (count === 0) return 'No organisation';
  return count === 1 ? 'One organisation' : `${count} organisations`;
};

const cosignedBy = (log: LogView): string => {
  const { cosigned, size } = log;
  if (cosigned === null || cosigned.organisations.length === 0)
    return 'No organisation has cosigned the log: that all see the same one rests on this coordinator’s word.';
  const { size: entries } = cosigned;
  return entries === size
    ? `${cosigners(log)} cosigned all ${formatCount(size)} entries.`
    : `${cosigners(log)} cosigned the first ${formatCount(entries)} of ${formatCount(size)} entries.`;
};

function Witnesses({ log }: { log: LogView }) {
  return (
    <section class="card" aria-labelledby="witnesses-title">
      <h2 id="witnesses-title">Witnesses</h2>
      <p>{cosignedBy(log)}</p>
      {log.witnesses.length > 0 && (
        <Table label="Table of witnesses" head={['Node', 'Organisation', 'Has cosigned']}>
          {log.witnesses.map(({ nodeId, vouchedBy, cosignedSize }) => (
            <tr key={nodeId}>
              <th scope="row">
                {nodes.value?.find(({ id }) => id === nodeId)?.name}
                <code class="id">{nodeId}</code>
              </th>
              <td>
                <OrganisationName fingerprint={vouchedBy} />
              </td>
              <td>{cosignedSize === null ? 'neither checkpoint' : `${formatCount(cosignedSize)} entries`}</td>
            </tr>
          ))}
        </Table>
      )}
      <p class="faint">
        A node whose policy says <code>witness: yes</code> signs each checkpoint that continues what it saw before. It
        speaks for the organisation that signed for the node.
      </p>
    </section>
  );
}

const files = [
  ['checkpoint', 'the newest checkpoint'],
  ['vkey', 'the key that verifies it'],
  ['cosigned', 'the one that most organisations cosigned'],
  ['witnesses', 'who cosigns'],
] as const;

function Checkpoint({ log }: { log: LogView }) {
  return (
    <section class="card" aria-labelledby="checkpoint-title">
      <h2 id="checkpoint-title">Newest checkpoint</h2>
      <pre>{log.checkpoint}</pre>
      <ul class="files">
        {files
          .filter(([path]) => log.cosigned !== null || path === 'checkpoint' || path === 'vkey')
          .map(([path, what]) => (
            <li key={path}>
              <a href={`/log/${path}`}>{path}</a>, <span class="faint">{what}</span>
            </li>
          ))}
      </ul>
    </section>
  );
}

/** How far the log is, how to check it, and who stands behind it beside the coordinator. */
export function Log() {
  const log = transparencyLog.value;
  // not the number of entries, which grows all the time
  useAnnounced(log === undefined ? '' : `${cosigners(log)} cosigned the log.`);
  return (
    <>
      <div class="title">
        <h1 tabIndex={-1}>Log</h1>
      </div>
      <p>
        Everything that this coordinator admits, offers, sums and publishes, in the order in which it happened. It only
        grows, and anyone may read it without a login.
      </p>
      {log === undefined ? (
        <p>Loading…</p>
      ) : (
        <>
          <section class="card" aria-labelledby="head-title">
            <h2 id="head-title">Check it</h2>
            <dl class="facts">
              <dt>Entries</dt>
              <dd>{formatCount(log.size)}</dd>
              <dt>Root</dt>
              <dd>
                <code>{log.root}</code>
              </dd>
              <dt>Log</dt>
              <dd>
                <code>{log.origin}</code>
              </dd>
              <dt>Key</dt>
              <dd>
                <code>{log.verifierKey}</code>
              </dd>
            </dl>
            <CommandLine text={verifyCommand(location.origin, { key: log.verifierKey })} what="verify command" />
            <p class="faint">
              It walks from the first entry to the newest adapter and prints one line a claim. Who checks takes the key
              from somewhere else than this page.
            </p>
          </section>
          <Witnesses log={log} />
          <Checkpoint log={log} />
        </>
      )}
    </>
  );
}
