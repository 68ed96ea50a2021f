import { useRef } from 'preact/hooks';
import { logIn, sessionEnded } from '../state/store.ts';
import { useAction } from './action.ts';
import { ProblemNote } from './problem.tsx';

export function Login() {
  const password = useRef<HTMLInputElement>(null);
  const action = useAction();
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const input = password.current;
    if (input === null) return;
    const entered = await action.run(async () => logIn(input.value.trim()));
    if (entered) return;
    input.select();
    input.focus();
  };
  return (
    <main class="login" id="main">
      <form class="card" onSubmit={(event) => void submit(event)}>
        <p class="wordmark">Weft</p>
        <h1>Log in to the coordinator</h1>
        {sessionEnded.value && <p class="note">Your session has ended. Log in again to go on.</p>}
        <label for="password">Password</label>
        <input
          ref={password}
          id="password"
          name="password"
          type="password"
          autoComplete="current-password"
          aria-describedby="password-hint"
          aria-invalid={action.problem !== undefined}
          required
          autoFocus
        />
        <p class="faint" id="password-hint">
          <code>weft coordinator init</code> printed it once.
        </p>
        <ProblemNote problem={action.problem} />
        <button type="submit" class="primary" aria-disabled={action.running}>
          Log in
        </button>
      </form>
    </main>
  );
}
