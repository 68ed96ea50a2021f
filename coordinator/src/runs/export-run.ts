import { modelSigning, sha256, type ExportView } from '@weft/shared';
import { peftFiles, readAdapter } from '../adapters/adapter-file.ts';
import type { Run } from './run.ts';
import type { RunContext } from './run-context.ts';

/** The newest adapter version in the PEFT layout, with a statement beside it that the federation signs. */
export async function exportRun(
  { blobs, identity, transparencyLog }: RunContext,
  { id: runId, layout, specSha256, state }: Run,
): Promise<ExportView> {
  const { spec, adapter } = state;
  const files = await peftFiles(layout, await readAdapter(layout, blobs.adapters.path(adapter.sha256)), spec.baseModel);
  const logged = transparencyLog.prove(
    (leaf) =>
      leaf.name === 'result' &&
      `r_${Buffer.from(leaf.runId).toString('hex')}` === runId &&
      Buffer.from(leaf.adapterHash).toString('hex') === adapter.sha256,
  );
  const statement = modelSigning.signFiles(
    {
      name: spec.name,
      files: [...files].map(([name, bytes]) => ({ name, sha256: sha256(bytes) })),
      run: {
        runId,
        specSha256,
        baseModelSha256: spec.baseModel.sha256,
        adapterSha256: adapter.sha256,
        ...(logged && { result: { entry: Buffer.from(logged.entry).toString('base64'), proof: logged.proof } }),
      },
    },
    identity,
  );
  const all: [string, Uint8Array][] = [...files, [modelSigning.signatureName, Buffer.from(statement)]];
  return {
    runId,
    adapterSha256: adapter.sha256,
    files: all.map(([name, bytes]) => ({ name, base64: Buffer.from(bytes).toString('base64') })),
  };
}
