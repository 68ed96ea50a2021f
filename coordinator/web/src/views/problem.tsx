import type { ComponentChildren } from 'preact';
import type { Problem } from '../state/request.ts';
import { Sentence } from './sentence.tsx';

/** What happened, each mistake on its own line, and what to do. */
export function ProblemNote({ problem, children }: { problem: Problem | undefined; children?: ComponentChildren }) {
  if (problem === undefined) return null;
  const [first, ...rest] = problem.message
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return (
    <div class="note problem" role="alert">
      <p>
        <strong>
          <Sentence text={first ?? ''} />
        </strong>
      </p>
      {rest.length > 0 && (
        <ul>
          {rest.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      )}
      <p>
        <Sentence text={problem.todo} />
      </p>
      {problem.code !== undefined && (
        <p class="faint">
          <code>{problem.code}</code>
        </p>
      )}
      {children}
    </div>
  );
}
