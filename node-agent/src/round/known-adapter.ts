import { WeftError, type AdapterLayout } from '@weft/shared';
import { initAdapter } from '@weft/trainer';
import type { LogWatch } from '../log/log-watch.ts';
import type { Offer } from './offer.ts';

/**
 * A crafted adapter imprints data, so that even a sum tells of it. So nothing is trained from, or scored with, but what the
 * run's seed gives, while no other adapter of the run was shown; and from then on what the newest Result or Rollback leaf
 * names. The clip norm, where the run adapts it, is the one that the same leaf names.
 * @param adapter the values of the offered file
 * @throws WEFT_NODE_ADAPTER_UNPROVEN, WEFT_NODE_OFFER_INVALID
 */
export async function requireKnownAdapter(
  { runId, spec, adapter: offered, clipNormL2 }: Pick<Offer, 'runId' | 'spec' | 'adapter' | 'clipNormL2'>,
  { layout, adapter }: { readonly layout: AdapterLayout; readonly adapter: Float32Array },
  logged: LogWatch['adapters'],
  signal: AbortSignal,
): Promise<void> {
  const begun = spec.aggregation.clipNormL2;
  const isFirst =
    logged.find(runId) === undefined && clipNormL2 === begun && sameBits(adapter, initAdapter(layout, spec.seed));
  if (isFirst) return;
  const { nextClipNormL2 } = await logged.awaitShown(runId, offered.sha256, signal);
  const due = nextClipNormL2 ?? begun;
  if (clipNormL2 !== due)
    throw new WeftError(
      'WEFT_NODE_OFFER_INVALID',
      `the round offer does not hold together: it clips to ${clipNormL2}, and the log names ${due} beside its adapter`,
    );
}

const sameBits = (a: Float32Array, b: Float32Array): boolean =>
  Buffer.compare(
    Buffer.from(a.buffer, a.byteOffset, a.byteLength),
    Buffer.from(b.buffer, b.byteOffset, b.byteLength),
  ) === 0;
