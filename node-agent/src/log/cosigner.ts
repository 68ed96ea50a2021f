import { log, type FederationId, type Identity } from '@weft/shared';
import { recordSent } from '../home/sent-record.ts';
import { readDistrust } from './distrust.ts';

/** A node that cosigns what it has verified, each size once in a session. */
export interface Cosigner {
  /** The witness key, and the node's word for it. */
  introduction(): { readonly verifierKey: string; readonly signature: Uint8Array };
  /** @returns undefined where this size was cosigned, or the coordinator is distrusted */
  cosign(size: number, text: string): Promise<Uint8Array | undefined>;
  /** A new session: the coordinator may have lost what was signed. */
  connected(): void;
}

export function createCosigner({
  home,
  identity,
  witness,
  federationId,
}: {
  readonly home: string;
  readonly identity: Identity;
  readonly witness: Identity;
  readonly federationId: () => FederationId;
}): Cosigner {
  let cosignedSize = -1;
  return {
    introduction: () => ({
      verifierKey: log.formatVerifierKey(log.witnessKeyOf(identity.publicKey, witness.publicKey)),
      signature: log.signWitnessKey(identity, federationId(), witness.publicKey),
    }),
    async cosign(size, text) {
      if (size <= cosignedSize || (await readDistrust(home)).length > 0) return undefined;
      cosignedSize = size;
      await recordSent(home, { kind: 'cosignature', logSize: size });
      const seconds = BigInt(Math.floor(Date.now() / 1000));
      return log.cosignatureOf(text, (message) => witness.sign(message), seconds);
    },
    connected() {
      cosignedSize = -1;
    },
  };
}
