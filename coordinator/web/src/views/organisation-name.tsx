import { nodes } from '../state/store.ts';
import { namesIn } from '../state/organisations.ts';

/** An organisation by the fingerprint of its key, with the names that operators of its nodes typed. */
export function OrganisationName({ fingerprint }: { fingerprint: string | null }) {
  if (fingerprint === null) return <>of no organisation</>;
  const names = namesIn(nodes.value?.filter(({ vouchedBy }) => vouchedBy === fingerprint) ?? []);
  return (
    <>
      {names.join(', ')} <code class="fingerprint">{fingerprint}</code>
    </>
  );
}
