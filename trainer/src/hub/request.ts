import { WeftError } from '@weft/shared';
import type { HubAccess } from './access.ts';
import { hubLimits } from './limits.ts';
import type { HubReference } from './reference.ts';
import { refusal } from './refusal.ts';

export interface HubRequest {
  readonly access: HubAccess;
  /** Named in errors. */
  readonly reference: HubReference;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

const redirectStatuses = new Set([301, 302, 303, 307, 308]);

/**
 * One GET, through redirects, that ended in 2xx. The token goes to the hub's own origin and nowhere else, and an https
 * address leads to https ones only.
 * @throws WEFT_HUB_UNREACHABLE, WEFT_HUB_BUSY (both worth a retry), and what `refusal` tells
 */
export async function request(address: string, { access, reference, headers, signal }: HubRequest): Promise<Response> {
  const { origin } = new URL(access.endpoint);
  let url = new URL(address);
  for (let hop = 0; hop <= hubLimits.redirects; hop++) {
    const ours = url.origin === origin;
    const authorization: Record<string, string> =
      ours && access.token !== undefined ? { authorization: `Bearer ${access.token}` } : {};
    const response = await fetch(url, {
      redirect: 'manual',
      // a length and a range are those of the file, not of its compression
      headers: { 'user-agent': 'weft', 'accept-encoding': 'identity', ...headers, ...authorization },
      ...(signal === undefined ? {} : { signal }),
    }).catch((cause: unknown) => {
      throw unreachable(`${url.host} cannot be reached (${reasonOf(cause)})`, cause);
    });
    if (response.ok) return response;
    await response.body?.cancel();
    if (!redirectStatuses.has(response.status)) throw refusal(response, reference, access, ours);
    url = nextAddress(response.headers.get('location'), url);
  }
  throw new WeftError('WEFT_HUB_ANSWER_INVALID', `the hub sent us on more than ${hubLimits.redirects} times`);
}

/** @throws WEFT_HUB_ANSWER_INVALID */
export function nextAddress(location: string | null, from: URL): URL {
  const next = location !== null && URL.canParse(location, from.href) ? new URL(location, from.href) : undefined;
  if (next === undefined || !/^https?:$/.test(next.protocol))
    throw new WeftError('WEFT_HUB_ANSWER_INVALID', `${from.host} redirects to no web address`);
  if (from.protocol === 'https:' && next.protocol !== 'https:')
    throw new WeftError('WEFT_HUB_ANSWER_INVALID', `${from.host} redirects from https to http`);
  return next;
}

const unreachable = (what: string, cause?: unknown): WeftError =>
  new WeftError('WEFT_HUB_UNREACHABLE', what, {}, { cause });

/** `ECONNREFUSED`, `ENOTFOUND` and the like stand below fetch's own error; a chain may be anything, so it is cut. */
function reasonOf(error: unknown): string {
  let cause = error;
  for (let depth = 0; depth < 4 && typeof cause === 'object' && cause !== null; depth++) {
    const { code, name } = cause as { code?: unknown; name?: unknown };
    if (typeof code === 'string') return code;
    if (name === 'TimeoutError') return 'silent';
    cause = (cause as { cause?: unknown }).cause;
  }
  return 'connection lost';
}

/** The bytes of an answer; a connection that breaks meanwhile is worth another try. */
export async function* bodyOf(response: Response): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const chunks = response.body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await chunks.next().catch((cause: unknown) => {
        throw unreachable(`the connection broke (${reasonOf(cause)})`, cause);
      });
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await chunks.return?.().catch(() => {});
  }
}

/**
 * A signal that goes off when nobody has called `alive` for a while, or when `outer` does; `release` it at the end.
 */
export function silenceSignal(
  outer: AbortSignal | undefined,
  silenceMs: number,
): { readonly signal: AbortSignal; readonly alive: () => void; readonly release: () => void } {
  const silence = new AbortController();
  const timer = setTimeout(
    () => silence.abort(new DOMException(`silent for ${silenceMs / 1000} s`, 'TimeoutError')),
    silenceMs,
  );
  return {
    signal: outer === undefined ? silence.signal : AbortSignal.any([outer, silence.signal]),
    alive: () => void timer.refresh(),
    release: () => clearTimeout(timer),
  };
}
