import { WeftError } from '@weft/shared';
import type { HubAccess } from './access.ts';
import { hubLimits } from './limits.ts';
import type { HubReference } from './reference.ts';

/** What a status other than 2xx means; `ours` is false for a content network, whose refusals end with a fresh address. */
export function refusal(
  response: Response,
  { repository, revision }: HubReference,
  { endpoint, token }: HubAccess,
  ours: boolean,
): WeftError {
  const { status, headers } = response;
  const code = headers.get('x-error-code');
  const words = printable(headers.get('x-error-message') ?? '');
  const said = `${new URL(endpoint).host} answered ${status}${words === '' ? '' : ` (${words})`}`;
  const details = { status };
  if (status === 429 || status === 408 || status >= 500 || (!ours && status !== 404)) {
    const retryAfterMs = askedWaitMs(headers);
    return new WeftError(
      'WEFT_HUB_BUSY',
      `${said}${retryAfterMs === undefined ? '' : ` and asks to wait ${retryAfterMs / 1000} s`}`,
      { ...details, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
    );
  }
  if (code === 'GatedRepo')
    return new WeftError(
      'WEFT_HUB_GATED',
      `${repository} is gated (${endpoint}/${repository}): ${said} to a request ${withOrWithout(token)}`,
      details,
    );
  if (code === 'RevisionNotFound')
    return new WeftError('WEFT_HUB_REVISION_UNKNOWN', `${repository} has no revision ${revision}`, details);
  if (code === 'EntryNotFound')
    return new WeftError('WEFT_HUB_FILE_UNKNOWN', `${repository} at ${revision} does not hold the file`, details);
  if (status === 403 || (status === 401 && /invalid (?:credentials|username|user token)/i.test(words) && token))
    return new WeftError('WEFT_HUB_TOKEN_REFUSED', `${said} to a request ${withOrWithout(token)}`, details);
  // a hub does not tell a private model from none: 401 to strangers, 404 to others
  if (status === 401 || status === 404)
    return new WeftError(
      'WEFT_HUB_MODEL_UNKNOWN',
      `there is no ${repository} on ${new URL(endpoint).host}, or not for a request ${withOrWithout(token)}`,
      details,
    );
  return new WeftError('WEFT_HUB_ANSWER_INVALID', said, details);
}

const withOrWithout = (token: string | undefined): string => (token === undefined ? 'without a token' : 'with a token');

/** A server's words reach a terminal: no control characters, not many. */
export const printable = (text: string): string =>
  text
    .replaceAll(/[^\u0020-\u007e]+/g, ' ')
    .trim()
    .slice(0, hubLimits.quotedLength);

/** `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), else the `t` of the hub's own `RateLimit`. */
function askedWaitMs(headers: Headers): number | undefined {
  const after = headers.get('retry-after');
  const seconds = after ?? /(?:^|;)\s*t=(?<seconds>\d{1,9})\s*(?:;|$)/.exec(headers.get('ratelimit') ?? '')?.[1];
  if (seconds === undefined || seconds === null) return undefined;
  if (/^\d{1,9}$/.test(seconds.trim())) return Number(seconds) * 1000;
  const date = Date.parse(seconds);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}
