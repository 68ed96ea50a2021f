import { useState } from 'preact/hooks';
import type { RunView } from '@weft/shared';
import { request } from '../state/request.ts';
import { announcement, reloadDetail, reloadRuns } from '../state/store.ts';
import { useAction } from './action.ts';
import { Confirm } from './confirm.tsx';
import { ProblemNote } from './problem.tsx';

type Order = 'start' | 'pause' | 'resume' | 'stop';

const labels = { start: 'Start', pause: 'Pause', resume: 'Resume' } as const;
const said = { start: 'started', pause: 'paused', resume: 'resumed', stop: 'stopped' } as const;

/** What can be asked of a run in its state; stopping asks first and stands apart. */
const ordersIn = (state: RunView['state']): readonly (keyof typeof labels)[] => {
  switch (state) {
    case 'created':
      return ['start'];
    case 'running':
      return ['pause'];
    case 'paused':
      return ['resume'];
    case 'finished':
    case 'stopped':
    case 'aborted':
      return [];
  }
};

export function RunActions({ run }: { run: RunView }) {
  const action = useAction();
  const [asking, setAsking] = useState(false);
  const send = async (order: Order): Promise<void> => {
    await request('POST', `/api/runs/${encodeURIComponent(run.id)}/${order}`);
    announcement.value = `${run.name} is ${said[order]}.`;
    await Promise.all([reloadDetail(), reloadRuns()]);
  };
  return (
    <div class="buttons">
      {ordersIn(run.state).map((order) => (
        // one button that changes its word keeps the focus where it is
        <button
          key="order"
          type="button"
          class="primary"
          aria-disabled={action.running}
          onClick={() => void action.run(async () => send(order))}
        >
          {labels[order]}
        </button>
      ))}
      {(run.state === 'running' || run.state === 'paused') && (
        <button key="stop" type="button" onClick={() => setAsking(true)}>
          Stop
        </button>
      )}
      {asking && (
        <Confirm
          title={`Stop ${run.name}?`}
          confirmLabel="Stop the run"
          onConfirm={async () => send('stop')}
          onClose={() => setAsking(false)}
        >
          <p>
            A stopped run cannot go on. The round that is under way is dropped; the adapter of the last committed round
            stays. To go on later, pause it instead.
          </p>
        </Confirm>
      )}
      <ProblemNote problem={action.problem} />
    </div>
  );
}
