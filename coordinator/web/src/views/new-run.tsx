import { useId, useRef, useState } from 'preact/hooks';
import type { RunDetailView, RunView } from '@weft/shared';
import { request } from '../state/request.ts';
import { go, toHref } from '../state/route.ts';
import { announcement, reloadRuns, runs } from '../state/store.ts';
import { useAction } from './action.ts';
import { ProblemNote } from './problem.tsx';

const example = `name: first run
baseModel:
  name: NAME
  sha256: as \`weft model show PATH\` prints it
training:
  steps: 20
aggregation:
  mode: plain
rounds: 5
`;

/** A spec as YAML; JSON is YAML too. */
const parseSpec = async (text: string): Promise<unknown> => {
  const { parse } = await import('yaml');
  return parse(text);
};

export function NewRun() {
  const text = useRef<HTMLTextAreaElement>(null);
  const [start, setStart] = useState(example);
  const action = useAction();
  const copying = useAction();
  const id = useId();

  const create = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    await action.run(async () => {
      const run = await request<RunView>('POST', '/api/runs', await parseSpec(text.current?.value ?? ''));
      announcement.value = `The run ${run.name} is created.`;
      await reloadRuns();
      go({ name: 'run', id: run.id });
    });
  };

  const startFrom = async (runId: string): Promise<void> => {
    await copying.run(async () => {
      const [{ spec }, { stringify }] = await Promise.all([
        request<RunDetailView>('GET', `/api/runs/${encodeURIComponent(runId)}`),
        import('yaml'),
      ]);
      setStart(stringify(spec));
    });
  };

  return (
    <>
      <div class="title">
        <h1 tabIndex={-1}>New run</h1>
      </div>
      <form class="card" onSubmit={(event) => void create(event)}>
        {runs.value !== undefined && runs.value.length > 0 && (
          <div class="field">
            <label for={`${id}-from`}>Begin with the spec of</label>
            <select id={`${id}-from`} onChange={(event) => void startFrom(event.currentTarget.value)}>
              <option value="" disabled selected>
                choose a run
              </option>
              {runs.value.map((run) => (
                <option key={run.id} value={run.id}>
                  {run.name}
                </option>
              ))}
            </select>
          </div>
        )}
        <ProblemNote problem={copying.problem} />
        <label for={`${id}-spec`}>Run spec (YAML or JSON)</label>
        <textarea
          ref={text}
          id={`${id}-spec`}
          class="code"
          rows={18}
          spellcheck={false}
          value={start}
          aria-describedby={`${id}-hint`}
        />
        <p class="faint" id={`${id}-hint`}>
          What is left out takes its default. The base model must be known to the coordinator:{' '}
          <code>weft run create SPEC --model PATH</code> makes it known.
        </p>
        <ProblemNote problem={action.problem} />
        <div class="buttons">
          <button type="submit" class="primary" aria-disabled={action.running}>
            Create run
          </button>
          <a class="button plain" href={toHref({ name: 'runs' })}>
            Cancel
          </a>
        </div>
      </form>
    </>
  );
}
