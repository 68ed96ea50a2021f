import { useEffect, useId, useRef, useState } from 'preact/hooks';
import type { ExportView, RunView } from '@weft/shared';
import { formatBytes } from '../format.ts';
import { request } from '../state/request.ts';
import { useAction } from './action.ts';
import { ProblemNote } from './problem.tsx';

interface OfferedFile {
  readonly name: string;
  readonly url: string;
  readonly sizeBytes: number;
}

const offer = ({ files }: ExportView): OfferedFile[] =>
  files.map(({ name, base64 }) => {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    return { name, url: URL.createObjectURL(new Blob([bytes])), sizeBytes: bytes.length };
  });

/** The adapter as PEFT's files and the signed statement. A page may start only one download by itself, so each file is a link. */
export function AdapterDownload({ run }: { run: RunView }) {
  const action = useAction();
  const dialog = useRef<HTMLDialogElement>(null);
  const [files, setFiles] = useState<OfferedFile[]>([]);
  const titleId = useId();

  useEffect(() => () => files.forEach(({ url }) => URL.revokeObjectURL(url)), [files]);

  const show = async (): Promise<void> => {
    setFiles([]);
    dialog.current?.showModal();
    await action.run(async () => {
      setFiles(offer(await request<ExportView>('GET', `/api/runs/${encodeURIComponent(run.id)}/adapter`)));
    });
  };

  return (
    <>
      <button type="button" onClick={() => void show()}>
        Download adapter
      </button>
      <dialog ref={dialog} aria-labelledby={titleId}>
        <h2 id={titleId}>Adapter of {run.name}</h2>
        <p>
          Save the files in one folder; PEFT, and everything that reads its layout, loads that folder.
          <code>model.sig</code> is the federation's signed statement; <code>weft model verify</code> holds the folder
          against it.
        </p>
        {action.running && <p>Fetching…</p>}
        <ProblemNote problem={action.problem} />
        <ul class="files">
          {files.map(({ name, url, sizeBytes }) => (
            <li key={name}>
              <a href={url} download={name}>
                {name}
              </a>{' '}
              <span class="faint">{formatBytes(sizeBytes)}</span>
            </li>
          ))}
        </ul>
        <p class="faint">
          SHA-256 of adapter_model.safetensors: <code>{run.adapterSha256}</code>
        </p>
        <div class="buttons">
          <button type="button" autoFocus onClick={() => dialog.current?.close()}>
            Close
          </button>
        </div>
      </dialog>
    </>
  );
}
