import { log, organisationFingerprint, organisationIn, toNodeId, WeftError, type LogView } from '@weft/shared';
import { checkpointFile, cosignedFile, keyFile, witnessesFile } from '../log/log-files.ts';
import type { TransparencyLog } from '../log/transparency-log.ts';
import type { Registry } from '../registry/registry.ts';

/**
 * The log as anyone finds it on the disk, each cosignature checked again. A witness counts for the organisation that
 * signed for its node, as long as that node is approved.
 * @throws WEFT_LOG_NOT_FOUND where no checkpoint could be written yet, WEFT_LOG_MALFORMED
 */
export async function readLogView(
  transparencyLog: Pick<TransparencyLog, 'read'>,
  registry: Pick<Registry, 'node'>,
): Promise<LogView> {
  const [checkpoint, key, cosigned, listed] = await Promise.all(
    [checkpointFile, keyFile, cosignedFile, witnessesFile].map((path) => transparencyLog.read(path)),
  );
  if (checkpoint === undefined || key === undefined)
    throw new WeftError('WEFT_LOG_NOT_FOUND', 'no checkpoint of the log has been written yet');
  const newest = log.parseNote(checkpoint);
  const older = cosigned && log.parseNote(cosigned);
  const { origin, size, root } = log.parseCheckpoint(newest.text);

  const witnesses = log.parseWitnesses(listed ?? new Uint8Array()).map((witness) => {
    const nodeId = toNodeId(witness.nodeKey);
    const node = registry.node(nodeId);
    const organisation = node?.state === 'approved' ? organisationIn(node.endorsement) : undefined;
    const signs = (note: log.SignedNote | undefined): boolean =>
      note !== undefined && log.checkNote(note, witness.key) === 'good';
    const signed = [newest, older].find(signs);
    return {
      signsOlder: signs(older),
      view: {
        nodeId,
        vouchedBy: organisation === undefined ? null : organisationFingerprint(Buffer.from(organisation, 'hex')),
        cosignedSize: signed ? log.parseCheckpoint(signed.text).size : null,
      },
    };
  });
  const organisations = new Set(witnesses.flatMap(({ signsOlder, view }) => (signsOlder && view.vouchedBy) || []));
  return {
    origin,
    verifierKey: Buffer.from(key).toString().trim(),
    size,
    root: Buffer.from(root).toString('hex'),
    checkpoint: Buffer.from(checkpoint).toString(),
    cosigned: older
      ? { size: log.parseCheckpoint(older.text).size, organisations: [...organisations].toSorted() }
      : null,
    witnesses: witnesses.map(({ view }) => view),
  };
}
