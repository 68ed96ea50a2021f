import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  WeftError,
  eventViewSchema,
  isWeftError,
  liveProgressSchema,
  nodeViewSchema,
  runDetailViewSchema,
  type EventView,
} from '@weft/shared';
import { openAdminClient, type AdminClient } from './admin-client.ts';
import type { HomeOption } from './coordinator-home.ts';
import { createProgress, type Bar } from './progress.ts';
import { describeEvent, describeRound } from './run-news.ts';

/** A coordinator that was killed is often started again; its port may be another one then. */
const reconnectTries = 30;
const reconnectPauseMs = 1000;

const endings: ReadonlySet<string> = new Set(['run.finished', 'run.stopped', 'run.aborted']);

export interface WatchOptions extends HomeOption {
  readonly runId: string;
  readonly json: boolean;
  readonly signal: AbortSignal;
}

/** What is shown of a run while it goes on. */
interface Display {
  event(event: EventView, client: AdminClient): Promise<void>;
  progress(data: string): void;
  close(): void;
}

/** Tells a run's history, and then what happens, until it has ended. @returns the row that ended it */
export async function watchRun(options: WatchOptions): Promise<EventView | undefined> {
  const { runId, signal } = options;
  const display = options.json ? jsonDisplay() : createDisplay(runId);
  let lastSeq = 0;
  try {
    for (let tries = 0; !signal.aborted; tries++) {
      try {
        const client = await openAdminClient(options);
        const streams = new AbortController();
        const stop = (): void => streams.abort();
        signal.addEventListener('abort', stop, { once: true });
        const live = followLive(client, runId, display, streams.signal);
        try {
          for await (const { data } of client.stream(`/api/events?after=${lastSeq}`, streams.signal)) {
            tries = 0;
            const event = eventViewSchema.parse(JSON.parse(data));
            lastSeq = event.seq;
            if (event.runId !== runId) continue;
            await display.event(event, client);
            if (endings.has(event.kind)) return event;
          }
        } finally {
          streams.abort();
          signal.removeEventListener('abort', stop);
          await live;
        }
      } catch (error) {
        if (signal.aborted) return undefined;
        // a broken stream is an error of fetch; what the coordinator refuses is final
        if (isWeftError(error) && error.code !== 'WEFT_ADMIN_UNREACHABLE') throw error;
        if (tries >= reconnectTries) throw error;
      }
      await sleep(reconnectPauseMs, undefined, { signal }).catch(() => {});
      if (tries >= reconnectTries)
        throw new WeftError('WEFT_ADMIN_UNREACHABLE', `the coordinator has been away for ${reconnectTries} tries`);
    }
    return undefined;
  } finally {
    display.close();
  }
}

/** Passing news; when the stream breaks, the events say so too. */
async function followLive(client: AdminClient, runId: string, display: Display, signal: AbortSignal): Promise<void> {
  try {
    for await (const { data } of client.stream('/api/live', signal)) if (data.includes(runId)) display.progress(data);
  } catch {
    // the stream of events carries on, or fails for the same reason and tells
  }
}

const jsonDisplay = (): Display => ({
  event: async (event) => void process.stdout.write(`${JSON.stringify(event)}\n`),
  progress: (data) =>
    void process.stdout.write(
      `${JSON.stringify({ kind: 'progress', ...liveProgressSchema.parse(JSON.parse(data)) })}\n`,
    ),
  close: () => {},
});

function createDisplay(runId: string): Display {
  const progress = createProgress();
  const bars = new Map<string, Bar>();
  const names = new Map<string, string>();
  return {
    async event(event, client) {
      if (event.nodeId !== null && !names.has(event.nodeId)) {
        for (const { id, name } of await client.get('/api/nodes', nodeViewSchema.array())) names.set(id, name);
      }
      const line =
        event.kind === 'round.committed' && event.round !== null
          ? describeRound(await client.get(`/api/runs/${runId}`, runDetailViewSchema), event.round)
          : describeEvent(event, names);
      if (line !== undefined) progress.log(line);
    },
    progress(data) {
      // without a terminal the lines above are enough
      if (process.stderr.isTTY !== true) return;
      const { nodeId, stage, done, total, tokensPerSecond } = liveProgressSchema.parse(JSON.parse(data));
      const bar = bars.get(nodeId) ?? progress.bar(names.get(nodeId) ?? nodeId.slice(0, 10), 100);
      bars.set(nodeId, bar);
      bar.update(
        total > 0 ? Math.round((100 * done) / total) : 0,
        `${stage}${tokensPerSecond > 0 ? `, ${tokensPerSecond.toFixed(0)} tokens/s` : ''}`,
      );
    },
    close: () => progress.close(),
  };
}
