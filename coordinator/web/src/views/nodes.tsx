import { useRef, useState } from 'preact/hooks';
import type { NodeView } from '@weft/shared';
import { formatAgo, formatDay, formatTime } from '../format.ts';
import { request } from '../state/request.ts';
import { announcement, nodes, reloadNodes } from '../state/store.ts';
import { useAction } from './action.ts';
import { Badge } from './badge.tsx';
import { Confirm } from './confirm.tsx';
import { Invites } from './invites.tsx';
import { Organisations } from './organisations.tsx';
import { ProblemNote } from './problem.tsx';
import { Table } from './table.tsx';

const decide = async (node: NodeView, decision: 'approve' | 'revoke'): Promise<void> => {
  await request('POST', `/api/nodes/${encodeURIComponent(node.id)}/${decision}`);
  announcement.value = `${node.name} is ${decision === 'approve' ? 'approved' : 'revoked'}.`;
  await reloadNodes();
};

function NodeRow({ node }: { node: NodeView }) {
  const approve = useAction();
  const [asking, setAsking] = useState(false);
  const name = useRef<HTMLTableCellElement>(null);
  const approveNow = async (): Promise<void> => {
    // the button that had the focus goes away, the row stays
    if (await approve.run(async () => decide(node, 'approve'))) name.current?.focus();
  };
  return (
    <tr>
      <th scope="row" tabIndex={-1} ref={name}>
        <span class="name">{node.name}</span>
        {node.organisation !== '' && <span class="organisation"> {node.organisation}</span>}
        {node.vouchedBy !== null && (
          <span class="organisation">
            {' '}
            vouched for by <code>{node.vouchedBy}</code>
            {node.vouchedUntil !== null && ` until ${formatDay(node.vouchedUntil)}`}
          </span>
        )}
        {node.vouchedBy === null && node.vouchedUntil !== null && (
          <span class="organisation"> its organisation's word ended on {formatDay(node.vouchedUntil)}</span>
        )}
        <code class="id">{node.id}</code>
        <ProblemNote problem={approve.problem} />
      </th>
      <td>
        <span class="badges">
          <Badge word={node.state} />
          <Badge word={node.connected ? 'connected' : 'away'} />
        </span>
      </td>
      <td>
        <div class="buttons">
          {node.state === 'pending' && (
            <button
              key="approve"
              type="button"
              class="primary"
              aria-label={`Approve ${node.name}`}
              aria-disabled={approve.running}
              onClick={() => void approveNow()}
            >
              Approve
            </button>
          )}
          {node.state !== 'revoked' && (
            <button key="revoke" type="button" aria-label={`Revoke ${node.name}`} onClick={() => setAsking(true)}>
              Revoke
            </button>
          )}
        </div>
        {asking && (
          <Confirm
            title={`Revoke ${node.name}?`}
            confirmLabel="Revoke"
            onConfirm={async () => decide(node, 'revoke')}
            onClose={() => setAsking(false)}
          >
            <p>
              Its session ends at once and it takes part in no further round. To come back it needs a new identity and a
              new invite.
            </p>
          </Confirm>
        )}
      </td>
      <td title={node.lastSeenAt === null ? undefined : formatTime(node.lastSeenAt)}>
        {node.lastSeenAt === null ? 'never' : formatAgo(node.lastSeenAt, Date.now())}
      </td>
      <td>{node.agentVersion ?? '–'}</td>
    </tr>
  );
}

const order = { pending: 0, approved: 1, revoked: 2 } as const;

export function Nodes() {
  const shown = nodes.value;
  const pending = shown?.filter(({ state }) => state === 'pending').length ?? 0;
  return (
    <>
      <div class="title">
        <h1 tabIndex={-1}>Nodes</h1>
      </div>
      {pending > 0 && (
        <p class="note">
          {pending === 1 ? 'One node waits' : `${pending} nodes wait`} for approval. Compare the node's id with the one
          that its operator reads out (<code>weft node join</code> prints it).
        </p>
      )}
      {shown === undefined && <p>Loading…</p>}
      {shown?.length === 0 && (
        <div class="card empty">
          <h2>No node yet</h2>
          <p>Create an invite below and hand it to a node's operator, who runs:</p>
          <pre>weft node join INVITE</pre>
        </div>
      )}
      {shown !== undefined && shown.length > 0 && (
        <Table label="Table of nodes" head={['Node', 'State', 'Decision', 'Last seen', 'Agent']}>
          {shown
            .toSorted((a, b) => order[a.state] - order[b.state] || a.name.localeCompare(b.name))
            .map((node) => (
              <NodeRow key={node.id} node={node} />
            ))}
        </Table>
      )}
      {shown !== undefined && shown.length > 0 && <Organisations nodes={shown} />}
      <Invites />
    </>
  );
}
