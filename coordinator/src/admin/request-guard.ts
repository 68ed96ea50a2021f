import { WeftError } from '@weft/shared';

/** What a request says about where it comes from and whom it means. */
export interface RequestOrigin {
  readonly method: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** Browsers say here whether another site made them ask. */
  readonly fetchSite: string | undefined;
}

/**
 * A page of another site can point its own name at this machine (DNS rebinding) or send requests here with the admin's
 * cookie. So the name that was asked for must be one of ours, and the page that asks must be ours.
 * @param names further names under which an admin reaches the page, beside those of loopback
 * @throws WEFT_ADMIN_ORIGIN
 */
export function checkRequestOrigin({ host, origin, fetchSite }: RequestOrigin, names: readonly string[]): void {
  const name = host === undefined ? undefined : hostName(host);
  if (name === undefined || !(loopbackNames.has(name) || names.includes(name))) {
    throw new WeftError(
      'WEFT_ADMIN_ORIGIN',
      `the request names the host ${quote(host)}, which is not this coordinator's`,
    );
  }
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) {
    throw new WeftError('WEFT_ADMIN_ORIGIN', `the request comes from a page of ${quote(origin)}`);
  }
  if (fetchSite === 'cross-site' || fetchSite === 'same-site') {
    throw new WeftError('WEFT_ADMIN_ORIGIN', 'the request comes from a page of another site');
  }
}

/** Only a browser sends a cookie, and a browser names the page that changes something. @throws WEFT_ADMIN_ORIGIN */
export function requireOrigin({ method, origin }: RequestOrigin): void {
  if (method !== 'GET' && method !== 'HEAD' && origin === undefined) {
    throw new WeftError('WEFT_ADMIN_ORIGIN', 'the request changes something and does not say which page it comes from');
  }
}

/** Any port: a container's is published under another number. A foreign site cannot have these names. */
const loopbackNames: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '[::1]']);

const hostName = (host: string): string | undefined =>
  /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::\d{1,5})?$/i.exec(host)?.[1]?.toLowerCase();

const quote = (text: string | undefined): string => JSON.stringify((text ?? '').slice(0, 100));
