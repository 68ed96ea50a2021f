import { log, type NodeId } from '@weft/shared';

/** What witnesses signed of the newest checkpoints, and who they are. It decides; others keep and send. */
export interface Cosignatures {
  readonly witnesses: readonly log.Witness[];
  /** @returns what lies beside the log from now on, or undefined where the signature is not this witness's on this checkpoint */
  add(witness: log.Witness, size: number, signature: Uint8Array): Cosigned | undefined;
}

export interface Cosigned {
  readonly witnesses: string;
  readonly cosigned: string;
  readonly checkpoint: { readonly size: number; readonly text: string };
}

/** Checkpoints for which signatures are taken: one that is slower than so many leaves signs a later one. */
const keptCheckpoints = 8;

export function createCosignatures(options: {
  readonly federationId: string;
  /** The coordinator's own note of a checkpoint. */
  readonly noteOf: (size: number) => log.SignedNote;
  readonly known: readonly log.Witness[];
}): Cosignatures {
  const { federationId, noteOf } = options;
  const known = new Map(options.known.map((witness) => [witness.key.name, witness]));
  const signed = new Map<number, Map<string, { witness: log.Witness; signature: Uint8Array }>>();
  const words = new WeakMap<log.Witness, ReturnType<typeof log.wordOfWitness> | null>();
  const organisationOf = (witness: log.Witness, signature: Uint8Array): string | undefined => {
    if (!words.has(witness)) words.set(witness, log.wordOfWitness(witness, federationId) ?? null);
    const word = words.get(witness);
    return word && log.cosignatureTime(signature) < word.until ? word.organisation : undefined;
  };

  /** One line for each organisation, then those in nobody's name: a crowd of nodes leaves room for everyone else. */
  const cosignersOf = (size: number) => {
    const all = [...(signed.get(size)?.values() ?? [])].map((line) => ({
      ...line,
      organisation: organisationOf(line.witness, line.signature),
    }));
    const named = new Map(all.flatMap((line) => (line.organisation === undefined ? [] : [[line.organisation, line]])));
    const nobodys = all.filter(({ organisation }) => organisation === undefined);
    return { organisations: named.size, lines: [...named.values(), ...nobodys].slice(0, log.maxWitnesses) };
  };
  const textOf = (size: number): string =>
    log.formatNote(
      cosignersOf(size).lines.reduce(
        (note, { witness, signature }) => log.withSignature(note, witness.key, signature),
        noteOf(size),
      ),
    );
  const most = (): number =>
    [...signed.keys()].reduce((best, size) => {
      const [here, there] = [cosignersOf(size).organisations, cosignersOf(best).organisations];
      return here > there || (here === there && size > best) ? size : best;
    });

  return {
    get witnesses() {
      return [...known.values()];
    },
    add(witness, size, signature) {
      const note = noteOf(size);
      if (log.checkNote(log.withSignature(note, witness.key, signature), witness.key) !== 'good') return undefined;
      const { name } = witness.key;
      known.delete(name);
      known.set(name, witness);
      signed.set(size, (signed.get(size) ?? new Map()).set(name, { witness, signature }));
      for (const old of [...signed.keys()].toSorted((a, b) => b - a).slice(keptCheckpoints)) signed.delete(old);
      const best = most();
      const cosigning = [...signed.values()].flatMap((lines) => [...lines.keys()]);
      // Those whose signatures are shown come first; others only as far as the list has room.
      const listed = new Map([...cosigning.map((key) => [key, known.get(key)!] as const), ...known]);
      return {
        witnesses: log.formatWitnesses([...listed.values()].slice(0, log.maxWitnesses)),
        cosigned: textOf(best),
        checkpoint: { size, text: textOf(size) },
      };
    },
  };
}

/** The witness that a node says it is; undefined where its signature over the key does not hold. */
export function witnessOf(
  announced: { readonly verifierKey: string; readonly signature: Uint8Array },
  node: { readonly nodeId: NodeId; readonly publicKey: Uint8Array; readonly endorsement: Uint8Array },
  federationId: string,
): log.Witness | undefined {
  const key = log.readWitnessKey(announced.verifierKey);
  if (key === undefined) return undefined;
  const { publicKey: nodeKey, endorsement } = node;
  const witness = { key, nodeKey, nodeSignature: announced.signature, endorsement };
  return log.witnessHolds(witness, federationId) ? witness : undefined;
}
