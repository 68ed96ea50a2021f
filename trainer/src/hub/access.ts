import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { WeftError } from '@weft/shared';
import { hubLimits } from './limits.ts';

/** Which hub, and as whom. */
export interface HubAccess {
  /** Without a slash at its end. */
  readonly endpoint: string;
  /** Goes to the endpoint's origin only; undefined for what everybody may read. */
  readonly token: string | undefined;
}

const publicHub = 'https://huggingface.co';

/**
 * HF_ENDPOINT and HF_TOKEN, or the token file where `hf auth login` puts it (HF_TOKEN_PATH, else `token` in HF_HOME).
 * A token is not sent over plain HTTP to another machine.
 * @throws WEFT_CONFIG_INVALID
 */
export async function hubAccess(env: NodeJS.ProcessEnv = process.env): Promise<HubAccess> {
  const endpoint = parseEndpoint(env['HF_ENDPOINT'] || publicHub);
  const token = env['HF_TOKEN']?.trim() || (await readTokenFile(env));
  if (token !== undefined && (token.length > hubLimits.tokenLength || !/^[\u0021-\u007e]+$/.test(token)))
    throw new WeftError(
      'WEFT_CONFIG_INVALID',
      `the hub's token (HF_TOKEN, or its file) has ${token.length} characters, of which some cannot stand in a header; the limit is ${hubLimits.tokenLength}`,
    );
  return { endpoint: endpoint.href.replace(/\/+$/, ''), token: isPrivate(endpoint) ? token : undefined };
}

function parseEndpoint(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search && !url.hash) return url;
  throw new WeftError(
    'WEFT_CONFIG_INVALID',
    'HF_ENDPOINT is no http or https address without user, query and fragment',
  );
}

const isPrivate = ({ protocol, hostname }: URL): boolean =>
  protocol === 'https:' || /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname);

async function readTokenFile(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const home = env['HF_HOME'] || join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'huggingface');
  const file = env['HF_TOKEN_PATH'] || join(home, 'token');
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return '';
    throw new WeftError(
      'WEFT_CONFIG_INVALID',
      `the hub's token file cannot be read (${cause.code ?? 'unknown'})`,
      { file },
      { cause },
    );
  });
  return text.trim() || undefined;
}
