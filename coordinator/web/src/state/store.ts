import { effect, signal } from '@preact/signals';
import type { EventView, FederationView, LiveProgress, LogView, NodeView, RunDetailView, RunView } from '@weft/shared';
import { follow, type Position } from './follow.ts';
import { onceMore } from './once-more.ts';
import { RequestError, request, toProblem, type Problem } from './request.ts';
import { followFragment, route } from './route.ts';

// What the page knows. Everything shown comes whole from the API; an event only tells that it must be fetched again.

export const session = signal<'unknown' | 'out' | 'in'>('unknown');
/** Why the login form is shown although nobody logged out. */
export const sessionEnded = signal(false);
export const connection = signal<'connecting' | 'live' | 'lost'>('connecting');
export const federation = signal<FederationView | undefined>(undefined);
export const runs = signal<readonly RunView[] | undefined>(undefined);
export const nodes = signal<readonly NodeView[] | undefined>(undefined);
/** The run that the route names. */
export const detail = signal<RunDetailView | undefined>(undefined);
export const detailProblem = signal<Problem | undefined>(undefined);
/** What lies on the coordinator's disk; asked for while its section is shown. */
export const transparencyLog = signal<LogView | undefined>(undefined);
/** The newest last. */
export const activity = signal<readonly EventView[]>([]);
/** By run and node: the last that was heard. */
export const live = signal<ReadonlyMap<string, LiveProgress>>(new Map());
/** What went wrong while loading, until it goes right. */
export const loadProblem = signal<Problem | undefined>(undefined);
/** Read out by screen readers. */
export const announcement = signal('');

export const liveKey = (runId: string, nodeId: string): string => `${runId}/${nodeId}`;

/** More events than anybody reads; older ones are in `weft run show` and the log. */
const activityLength = 200;
/** That a node is connected, or that a witness has cosigned, is no event; this is how old it may be on the page. */
const askEveryMs = 5_000;
/** A round begins with several events at once: one fetch answers them. */
const gatherMs = 150;

const gather = async (): Promise<void> => new Promise((resolve) => setTimeout(resolve, gatherMs));

const endSession = (): void => {
  if (session.value === 'in') sessionEnded.value = true;
  session.value = 'out';
};

/** Runs a load; a failure is shown at the top of the page, an ended session leads to the login form. */
const loading = (load: () => Promise<void>): (() => Promise<void>) =>
  onceMore(async () => {
    try {
      await load();
      loadProblem.value = undefined;
    } catch (error) {
      if (error instanceof RequestError && error.status === 401) endSession();
      else loadProblem.value = toProblem(error);
    }
  }, gather);

export const reloadRuns = loading(async () => {
  runs.value = await request<RunView[]>('GET', '/api/runs');
});

export const reloadNodes = loading(async () => {
  const [listed, about] = await Promise.all([
    request<NodeView[]>('GET', '/api/nodes'),
    request<FederationView>('GET', '/api/federation'),
  ]);
  nodes.value = listed;
  federation.value = about;
});

export const reloadDetail = loading(async () => {
  const shown = route.value;
  if (shown.name !== 'run') return;
  try {
    const answer = await request<RunDetailView>('GET', `/api/runs/${encodeURIComponent(shown.id)}`);
    if (route.value.name !== 'run' || route.value.id !== shown.id) return;
    detail.value = answer;
    detailProblem.value = undefined;
  } catch (error) {
    if (!(error instanceof RequestError) || error.status === 401 || error.status === 0) throw error;
    detailProblem.value = error.problem;
  }
});

export const reloadLog = loading(async () => {
  if (route.value.name === 'log') transparencyLog.value = await request<LogView>('GET', '/api/log');
});

const reload = async (): Promise<void> => {
  await Promise.all([reloadRuns(), reloadNodes(), reloadDetail(), reloadLog()]);
};

const takeEvent = (event: EventView): void => {
  activity.value = [...activity.value, event].slice(-activityLength);
  if (event.runId === null || event.kind.startsWith('node.')) void reloadNodes();
  if (event.runId === null) return;
  void reloadRuns();
  void reloadLog();
  if (route.value.name === 'run' && route.value.id === event.runId) void reloadDetail();
};

const takeProgress = (progress: LiveProgress): void => {
  live.value = new Map(live.value).set(liveKey(progress.runId, progress.nodeId), progress);
};

const eventPosition: Position = { lastEventId: '' };
let streams: AbortController | undefined;

const disconnect = (): void => {
  streams?.abort();
  streams = undefined;
};

const connect = (): void => {
  disconnect();
  streams = new AbortController();
  const { signal: ended } = streams;
  connection.value = 'connecting';
  void follow('/api/events', {
    signal: ended,
    position: eventPosition,
    onOpen: () => {
      if (connection.value === 'lost') announcement.value = 'Connected again.';
      connection.value = 'live';
      void reload();
    },
    onEvent: (data) => takeEvent(data as EventView),
    onLost: () => {
      if (connection.value === 'live') announcement.value = 'The connection to the coordinator is lost.';
      connection.value = 'lost';
    },
    onLoggedOut: endSession,
  });
  void follow('/api/live', {
    signal: ended,
    position: { lastEventId: '' },
    onOpen: () => {},
    onEvent: (data) => takeProgress(data as LiveProgress),
    onLost: () => {},
    onLoggedOut: endSession,
  });
  const timer = setInterval(() => {
    void reloadNodes();
    void reloadLog();
  }, askEveryMs);
  ended.addEventListener('abort', () => clearInterval(timer));
};

const enter = async (): Promise<void> => {
  federation.value = await request<FederationView>('GET', '/api/federation');
  sessionEnded.value = false;
  session.value = 'in';
};

/** @throws RequestError for a wrong password, or too many tries */
export const logIn = async (password: string): Promise<void> => {
  await request('POST', '/api/login', { password });
  await enter();
};

export const logOut = async (): Promise<void> => {
  await request('POST', '/api/logout');
  session.value = 'out';
};

/** Starts the page: finds out whether there is a session, then follows the route, the session and the tab. */
export const open = async (): Promise<void> => {
  followFragment();
  // a browser holds six connections to one host: a tab that nobody sees gives its two streams back
  const follows = (): void => {
    const wanted = session.value === 'in' && document.visibilityState === 'visible';
    if (wanted && streams === undefined) connect();
    if (!wanted) disconnect();
  };
  document.addEventListener('visibilitychange', follows);
  effect(() => {
    if (session.value === 'out') {
      for (const known of [runs, nodes, detail, federation, transparencyLog]) known.value = undefined;
      activity.value = [];
      live.value = new Map();
      eventPosition.lastEventId = '';
    }
    follows();
  });
  effect(() => {
    if (route.value.name !== 'run' || detail.peek()?.id !== route.value.id) detail.value = undefined;
    detailProblem.value = undefined;
    if (session.value !== 'in') return;
    void reloadDetail();
    void reloadLog();
  });
  while (session.value === 'unknown') {
    try {
      await enter();
    } catch (error) {
      if (error instanceof RequestError && error.status === 0) {
        loadProblem.value = error.problem;
        await new Promise((resolve) => setTimeout(resolve, 2_000));
      } else {
        endSession();
      }
    }
  }
};
