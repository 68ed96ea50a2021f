import { useState } from 'preact/hooks';
import { toProblem, type Problem } from '../state/request.ts';

export interface Action {
  readonly running: boolean;
  readonly problem: Problem | undefined;
  /** True when it went well. A second call while the first runs does nothing. */
  run(work: () => Promise<void>): Promise<boolean>;
}

/** Something that the admin asks for: one at a time, and what went wrong is kept to be shown beside it. */
export const useAction = (): Action => {
  const [running, setRunning] = useState(false);
  const [problem, setProblem] = useState<Problem | undefined>(undefined);
  return {
    running,
    problem,
    async run(work) {
      if (running) return false;
      setRunning(true);
      setProblem(undefined);
      try {
        await work();
        return true;
      } catch (error) {
        setProblem(toProblem(error));
        return false;
      } finally {
        setRunning(false);
      }
    },
  };
};
