import type { NodeView } from '@weft/shared';
import { formatShare } from '../format.ts';
import { organisationsOf } from '../state/organisations.ts';
import { federation } from '../state/store.ts';
import { CopyButton } from './copy-button.tsx';
import { OrganisationName } from './organisation-name.tsx';
import { Table } from './table.tsx';

const head = ['Organisation', 'Approved nodes', 'Share of them', 'Connected', 'Waiting', 'Key'] as const;

/** Who signed for which nodes, and against whom that protects. */
export function Organisations({ nodes }: { nodes: readonly NodeView[] }) {
  const listed = organisationsOf(nodes);
  const approved = listed.reduce((sum, organisation) => sum + organisation.approved, 0);
  return (
    <section class="card" aria-labelledby="organisations-title">
      <h2 id="organisations-title">Organisations</h2>
      {federation.value !== undefined && <p class="note">{federation.value.protection}</p>}
      <Table label="Table of organisations" head={head}>
        {listed.map(({ key, fingerprint, approved: own, connected, pending }) => (
          <tr key={fingerprint ?? 'none'}>
            <th scope="row">
              <OrganisationName fingerprint={fingerprint} />
            </th>
            <td class="number">{own}</td>
            <td class="number">{approved === 0 ? '–' : formatShare(own / approved)}</td>
            <td class="number">{connected}</td>
            <td class="number">{pending}</td>
            <td>{key === null ? '–' : <CopyButton text={key} what="key" label={`Copy key ${fingerprint}`} />}</td>
          </tr>
        ))}
      </Table>
      <p class="faint">
        An organisation is its key: <code>weft org endorse</code> signs with it for a node. The names are what operators
        typed, and nobody checks them, so compare the fingerprint with the organisation itself. A node counts only the
        organisations that its own policy lists (<code>trustedOrganisations</code>); a run may limit the members of each
        (<code>cohort.perOrganisation</code>).
      </p>
    </section>
  );
}
