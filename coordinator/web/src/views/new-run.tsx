import { useEffect, useId, useState } from 'preact/hooks';
import type { RunDetailView, RunView } from '@weft/shared';
import { request } from '../state/request.ts';
import { go, toHref } from '../state/route.ts';
import { announcement, reloadRuns, runs } from '../state/store.ts';
import { useAction } from './action.ts';
import { ProblemNote } from './problem.tsx';

interface KnownModel {
  readonly name: string;
  readonly sha256: string;
}

/** The least that a spec must say. */
const firstSpec = ({ name, sha256 }: KnownModel): string => `name: first run
baseModel:
  name: ${JSON.stringify(name)}
  sha256: ${sha256}
adapter:
  rank: 8
training:
  steps: 20
cohort:
  minimum: 3
aggregation:
  mode: secure
rounds: 5
`;

const unknownModel: KnownModel = { name: 'NAME', sha256: 'as `weft model show PATH` prints it' };

/** A spec as YAML; JSON is YAML too. */
const parseSpec = async (text: string): Promise<unknown> => {
  const { parse } = await import('yaml');
  return parse(text);
};

export function NewRun() {
  const [text, setText] = useState(firstSpec(unknownModel));
  const [chosen, setChosen] = useState('');
  const [models, setModels] = useState<readonly KnownModel[]>([]);
  const creating = useAction();
  const choosing = useAction();
  const id = useId();

  useEffect(() => {
    void choosing.run(async () => {
      const known = await request<KnownModel[]>('GET', '/api/models');
      const [first] = known;
      setModels(known);
      if (first === undefined) return;
      setText((now) => (now === firstSpec(unknownModel) ? firstSpec(first) : now));
    });
  }, []);

  const create = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    await creating.run(async () => {
      const run = await request<RunView>('POST', '/api/runs', await parseSpec(text));
      announcement.value = `The run ${run.name} is created.`;
      await reloadRuns();
      go({ name: 'run', id: run.id });
    });
  };

  const choose = async (value: string): Promise<void> => {
    setChosen(value);
    const model = models.find(({ sha256 }) => sha256 === value);
    if (model !== undefined) {
      setText(firstSpec(model));
      return;
    }
    await choosing.run(async () => {
      const [{ spec }, { stringify }] = await Promise.all([
        request<RunDetailView>('GET', `/api/runs/${encodeURIComponent(value)}`),
        import('yaml'),
      ]);
      setText(stringify(spec));
    });
  };

  return (
    <>
      <div class="title">
        <h1 tabIndex={-1}>New run</h1>
      </div>
      <form class="card" onSubmit={(event) => void create(event)}>
        {(models.length > 0 || (runs.value?.length ?? 0) > 0) && (
          <div class="field">
            <label for={`${id}-from`}>Begin with</label>
            <select id={`${id}-from`} value={chosen} onChange={(event) => void choose(event.currentTarget.value)}>
              <option value="" disabled>
                choose a base model or an earlier run
              </option>
              {models.length > 0 && (
                <optgroup label="A base model that the coordinator knows">
                  {models.map(({ name, sha256 }) => (
                    <option key={sha256} value={sha256}>
                      {name}
                    </option>
                  ))}
                </optgroup>
              )}
              {runs.value !== undefined && runs.value.length > 0 && (
                <optgroup label="The spec of a run">
                  {runs.value.map((run) => (
                    <option key={run.id} value={run.id}>
                      {run.name}
                    </option>
                  ))}
                </optgroup>
              )}
            </select>
          </div>
        )}
        <ProblemNote problem={choosing.problem} />
        <label for={`${id}-spec`}>Run spec (YAML or JSON)</label>
        <textarea
          id={`${id}-spec`}
          class="code"
          rows={18}
          spellcheck={false}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          aria-describedby={`${id}-hint`}
        />
        <p class="faint" id={`${id}-hint`}>
          What is left out takes its default. The base model must be known to the coordinator:{' '}
          <code>weft run create SPEC --model PATH</code> makes it known.
        </p>
        <ProblemNote problem={creating.problem} />
        <div class="buttons">
          <button type="submit" class="primary" aria-disabled={creating.running}>
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
