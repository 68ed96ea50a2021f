import { useEffect, useRef } from 'preact/hooks';
import { route, toHref, type Route } from '../state/route.ts';
import { announcement, connection, federation, loadProblem, logOut, session } from '../state/store.ts';
import { Activity } from './activity.tsx';
import { Log } from './log.tsx';
import { Login } from './login.tsx';
import { NewRun } from './new-run.tsx';
import { Nodes } from './nodes.tsx';
import { ProblemNote } from './problem.tsx';
import { Run } from './run.tsx';
import { Runs } from './runs.tsx';

const sections: readonly { route: Route; label: string; holds: readonly Route['name'][] }[] = [
  { route: { name: 'runs' }, label: 'Runs', holds: ['runs', 'run', 'new-run'] },
  { route: { name: 'nodes' }, label: 'Nodes', holds: ['nodes'] },
  { route: { name: 'log' }, label: 'Log', holds: ['log'] },
  { route: { name: 'activity' }, label: 'Activity', holds: ['activity'] },
];

const connectionWords = { connecting: 'Connecting…', live: 'Live', lost: 'Connection lost, trying again…' } as const;

function Section() {
  const shown = route.value;
  switch (shown.name) {
    case 'runs':
      return <Runs />;
    case 'run':
      return <Run key={shown.id} />;
    case 'new-run':
      return <NewRun />;
    case 'nodes':
      return <Nodes />;
    case 'log':
      return <Log />;
    case 'activity':
      return <Activity />;
  }
}

function Header() {
  const shown = route.value.name;
  return (
    <header class="top">
      <a class="skip" href="#main" onClick={skipToMain}>
        Skip to content
      </a>
      <div class="bar">
        <p class="wordmark">
          Weft <span class="federation-name">{federation.value?.name}</span>
        </p>
        <p class={`connection ${connection.value}`}>{connectionWords[connection.value]}</p>
        <button type="button" class="plain" onClick={() => void logOut()}>
          Log out
        </button>
      </div>
      <nav aria-label="Sections">
        <ul>
          {sections.map((section) => (
            <li key={section.label}>
              <a href={toHref(section.route)} aria-current={section.holds.includes(shown) ? 'page' : undefined}>
                {section.label}
              </a>
            </li>
          ))}
        </ul>
      </nav>
    </header>
  );
}

/** The fragment is the route, so the link moves the focus instead of the address. */
const skipToMain = (event: MouseEvent): void => {
  event.preventDefault();
  document.getElementById('main')?.focus();
};

function Federation() {
  const shown = federation.value;
  if (shown === undefined) return null;
  return (
    <footer>
      <dl class="facts">
        <dt>Federation</dt>
        <dd>
          <code>{shown.id}</code>
        </dd>
        <dt>Address for nodes</dt>
        <dd>
          <code>{shown.grpcAddress}</code>
        </dd>
        <dt>Coordinator key</dt>
        <dd>
          <code>{shown.coordinatorKey}</code>
        </dd>
        <dt>Certificate SHA-256</dt>
        <dd>
          <code>{shown.certificateSha256}</code>
        </dd>
        <dt>Version</dt>
        <dd>{shown.version}</dd>
      </dl>
    </footer>
  );
}

/** After a change of section the focus goes to its heading, so that keyboard and screen reader start there. */
const useFocusOnHeading = (): void => {
  const place = JSON.stringify(route.value);
  const before = useRef(place);
  useEffect(() => {
    const heading = document.querySelector('h1');
    document.title = heading === null ? 'Weft' : `${heading.textContent} · Weft`;
    if (before.current === place) return;
    before.current = place;
    heading?.focus();
    scrollTo(0, 0);
  });
};

function Inside() {
  useFocusOnHeading();
  return (
    <>
      <Header />
      <main id="main" tabIndex={-1}>
        {federation.value !== undefined && <p class="note privacy">{federation.value.privacyNotice}</p>}
        <ProblemNote problem={loadProblem.value} />
        <Section />
      </main>
      <Federation />
    </>
  );
}

export function App() {
  return (
    <>
      <p class="unseen" role="status">
        {announcement.value}
      </p>
      {session.value === 'in' && <Inside />}
      {session.value === 'out' && <Login />}
      {session.value === 'unknown' && (
        <main class="login">
          <h1 class="unseen">Weft</h1>
          <p>Asking the coordinator…</p>
          <ProblemNote problem={loadProblem.value} />
        </main>
      )}
    </>
  );
}
