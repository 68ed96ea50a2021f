import { findRunning } from '@weft/coordinator/running';
import { WeftError, errorViewSchema, fromRefusal } from '@weft/shared';
import type { z } from 'zod';
import type { HomeOption } from './coordinator-home.ts';
import { readServerSentEvents, type ServerSentEvent } from './server-sent-events.ts';

/** The admin API of the coordinator that runs on a home, with the token that lies there. */
export interface AdminClient {
  get<S extends z.ZodType>(path: string, answer: S): Promise<z.output<S>>;
  post<S extends z.ZodType>(path: string, answer: S, body?: unknown): Promise<z.output<S>>;
  postBytes<S extends z.ZodType>(path: string, answer: S, bytes: Uint8Array): Promise<z.output<S>>;
  /** Ends when the coordinator closes the stream. */
  stream(path: string, signal?: AbortSignal): AsyncGenerator<ServerSentEvent>;
}

/** @throws WEFT_COORDINATOR_HOME, WEFT_ADMIN_UNREACHABLE; its calls throw what the coordinator refuses */
export async function openAdminClient({ home }: HomeOption): Promise<AdminClient> {
  const { httpUrl, adminToken } = await findRunning(home);
  const request = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = {
      authorization: `Bearer ${adminToken}`,
      ...(init.body !== undefined && {
        'content-type': typeof init.body === 'string' ? 'application/json' : 'application/octet-stream',
      }),
    };
    const answer = await fetch(new URL(path, httpUrl), { ...init, headers }).catch((cause: unknown) => {
      if (init.signal?.aborted === true) throw cause;
      throw new WeftError('WEFT_ADMIN_UNREACHABLE', `no coordinator answers at ${httpUrl}`, {}, { cause });
    });
    if (answer.ok) return answer;
    const refusal = errorViewSchema.safeParse(await answer.json().catch(() => undefined));
    throw refusal.success
      ? fromRefusal(refusal.data)
      : new WeftError('WEFT_ADMIN_UNREACHABLE', `${httpUrl} answered ${answer.status}, as no coordinator does`);
  };
  return {
    get: async (path, answer) => answer.parse(await (await request(path)).json()),
    post: async (path, answer, body) =>
      answer.parse(
        await (
          await request(path, { method: 'POST', ...(body !== undefined && { body: JSON.stringify(body) }) })
        ).json(),
      ),
    postBytes: async (path, answer, bytes) =>
      answer.parse(await (await request(path, { method: 'POST', body: new Uint8Array(bytes) })).json()),
    async *stream(path, signal) {
      const { body } = await request(path, signal === undefined ? {} : { signal });
      if (body !== null) yield* readServerSentEvents(body);
    },
  };
}
