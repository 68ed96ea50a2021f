import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { commitOfEntries, entriesOf, hex, type HubEntry, type HubRepository, listTree } from './hub-repository.ts';

export interface HubRequestSeen {
  readonly place: 'hub' | 'cdn';
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** What goes wrong with one answer. */
export interface HubFault {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** The connection breaks after so many bytes. */
  readonly breakAfterBytes?: number;
  /** Nothing comes after so many bytes, and the connection stays. */
  readonly stallAfterBytes?: number;
  readonly body?: Uint8Array;
  readonly ignoreRange?: true;
}

export interface HubServer extends AsyncDisposable {
  readonly endpoint: string;
  readonly requests: HubRequestSeen[];
  /** The commit that a revision of a repository is at. */
  commitOf(repository: string, revision?: string): string;
  /** Asked before each answer; undefined lets it pass. */
  fault: (request: HubRequestSeen) => HubFault | undefined;
  /** Entries of a listing's page. */
  pageLength: number;
}

/** An answer without a body of its own. */
class Refused extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, code?: string) {
    super(message);
    this.status = status;
    this.headers = { 'x-error-message': message, ...(code === undefined ? {} : { 'x-error-code': code }) };
  }
}

const listen = async (handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<Server> => {
  const server = createServer(handle);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return server;
};

const addressOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

/**
 * A Hugging Face hub for tests: the parts of its API that a download uses, on one port, and its content network on
 * another, with the statuses and headers of the real one. The Python client `huggingface_hub` pulls from it, too
 * (`conformance/hub.test.ts`), which is what keeps it true to the original.
 */
export const startHub = async (repositories: Readonly<Record<string, HubRepository>>): Promise<HubServer> => {
  const requests: HubRequestSeen[] = [];
  const tokenOf = (seen: HubRequestSeen): string | undefined =>
    /^Bearer (?<token>.+)$/.exec(seen.authorization ?? '')?.[1];

  const repositoryOf = (name: string, seen: HubRequestSeen): HubRepository => {
    const token = tokenOf(seen);
    if (token === 'hf_expired') throw new Refused(401, 'Invalid credentials in Authorization header');
    const repository = repositories[name];
    if (repository !== undefined && (repository.privateTo === undefined || repository.privateTo === token))
      return repository;
    throw token === undefined
      ? new Refused(401, 'Invalid username or password.')
      : new Refused(404, 'Repository not found', 'RepoNotFound');
  };

  const entriesAt = (repository: HubRepository, revision: string): HubEntry[] => {
    const all = Object.entries(repository.revisions).map(([name, files]) => ({ name, entries: entriesOf(files) }));
    const found = all.find(({ name, entries }) => name === revision || commitOfEntries(entries) === revision);
    if (found === undefined) throw new Refused(404, `Invalid rev id: ${revision}`, 'RevisionNotFound');
    return found.entries;
  };

  const send = (
    response: ServerResponse,
    seen: HubRequestSeen,
    status: number,
    headers: Readonly<Record<string, string | number>>,
    body: Uint8Array,
    fault: HubFault | undefined,
  ): void => {
    response.writeHead(fault?.status ?? status, { ...headers, ...fault?.headers });
    if (seen.method === 'HEAD') return void response.end();
    const stop = fault?.breakAfterBytes ?? fault?.stallAfterBytes;
    if (stop === undefined) return void response.end(body);
    response.write(body.subarray(0, stop), () => {
      if (fault?.breakAfterBytes !== undefined) response.destroy();
    });
  };

  const sendFile = (
    response: ServerResponse,
    seen: HubRequestSeen,
    entry: HubEntry,
    fault: HubFault | undefined,
  ): void => {
    const content = fault?.body ?? entry.content;
    const from = fault?.ignoreRange ? undefined : /^bytes=(?<from>\d+)-(?<to>\d*)$/.exec(seen.range ?? '')?.groups;
    const headers = { 'accept-ranges': 'bytes', etag: `"${entry.lfs?.oid ?? entry.oid}"` };
    if (from === undefined) {
      send(response, seen, 200, { ...headers, 'content-length': content.length }, content, fault);
      return;
    }
    const first = Number(from['from']);
    const last = Math.min(content.length - 1, from['to'] === '' ? content.length : Number(from['to']));
    if (first >= content.length) throw new Refused(416, 'Range Not Satisfiable');
    const body = content.subarray(first, last + 1);
    const range = { 'content-range': `bytes ${first}-${last}/${content.length}`, 'content-length': body.length };
    send(response, seen, 206, { ...headers, ...range }, body, fault);
  };

  const answerHub = (seen: HubRequestSeen, response: ServerResponse, fault: HubFault | undefined): void => {
    const url = new URL(seen.path, hub.endpoint);
    const path = decodeURIComponent(url.pathname);
    const json = (body: unknown, headers: Readonly<Record<string, string>> = {}): void =>
      send(
        response,
        seen,
        200,
        { 'content-type': 'application/json; charset=utf-8', ...headers },
        fault?.body ?? Buffer.from(JSON.stringify(body)),
        fault,
      );
    const api = /^\/api\/models\/(?<name>[^/]+\/[^/]+)(?:\/(?<verb>revision|tree)\/(?<rest>.+))?$/.exec(path)?.groups;
    if (api !== undefined) {
      const name = api['name'] ?? '';
      const repository = repositoryOf(name, seen);
      if (api['verb'] === 'tree') {
        const [revision = '', ...folder] = (api['rest'] ?? '').split('/');
        const { searchParams } = url;
        const recursive = searchParams.get('recursive')?.toLowerCase() === 'true';
        const all = listTree(repository, entriesAt(repository, revision), folder.join('/'), recursive);
        const first = Number(searchParams.get('cursor') ?? 0);
        const next = first + hub.pageLength;
        searchParams.set('cursor', String(next));
        json(all.slice(first, next), next < all.length ? { link: `<${url.href}>; rel="next"` } : {});
        return;
      }
      const entries = entriesAt(repository, api['rest'] ?? 'main');
      const sha = commitOfEntries(entries);
      const siblings = entries.map((entry) => ({ rfilename: entry.path }));
      const gated = repository.gatedTo === undefined ? false : 'manual';
      const isPrivate = repository.privateTo !== undefined;
      const counts = { downloads: 0, likes: 0, tags: [], lastModified: '2025-01-01T00:00:00.000Z' };
      json({ _id: hex('sha1', name).slice(0, 24), id: name, sha, private: isPrivate, gated, siblings, ...counts });
      return;
    }
    const file =
      /^(?<cached>\/api\/resolve-cache\/models)?\/(?<name>[^/]+\/[^/]+)(?:\/resolve)?\/(?<revision>[^/]+)\/(?<path>.+)$/.exec(
        path,
      )?.groups;
    if (file === undefined) throw new Refused(404, "Sorry, we can't find the page you are looking for.");
    const name = file['name'] ?? '';
    const repository = repositoryOf(name, seen);
    const entries = entriesAt(repository, file['revision'] ?? '');
    const token = tokenOf(seen);
    if (repository.gatedTo !== undefined && repository.gatedTo !== token)
      throw new Refused(token === undefined ? 401 : 403, `Access to model ${name} is restricted.`, 'GatedRepo');
    const commit = commitOfEntries(entries);
    const entry = entries.find((candidate) => candidate.path === file['path']);
    if (entry === undefined) throw new Refused(404, 'Entry not found', 'EntryNotFound');
    const headers = { 'x-repo-commit': commit, 'accept-ranges': 'bytes' };
    if (file['cached'] !== undefined) {
      response.setHeader('x-repo-commit', commit);
      sendFile(response, seen, entry, fault);
    } else if (entry.lfs === undefined) {
      // small files come from a cache of the hub itself, large ones from elsewhere
      const location = `/api/resolve-cache/models/${name}/${commit}/${encodeURIComponent(entry.path)}`;
      send(response, seen, 307, { ...headers, etag: `"${entry.oid}"`, location }, Buffer.alloc(0), fault);
    } else {
      const { oid, size } = entry.lfs;
      const linked = { 'x-linked-size': size, 'x-linked-etag': `"${oid}"`, etag: `"${oid}"` };
      const location = `${addressOf(cdnServer)}/repos/${oid}?response-content-disposition=attachment&Signature=s`;
      send(response, seen, 302, { ...headers, ...linked, location }, Buffer.alloc(0), fault);
    }
  };

  const answerCdn = (seen: HubRequestSeen, response: ServerResponse, fault: HubFault | undefined): void => {
    const oid = /^\/repos\/(?<oid>[0-9a-f]{64})\?.*Signature=s$/.exec(seen.path)?.[1];
    const entry = Object.values(repositories)
      .flatMap(({ revisions }) => Object.values(revisions))
      .flatMap(entriesOf)
      .find(({ lfs }) => lfs?.oid === oid);
    if (entry === undefined || seen.authorization !== undefined) throw new Refused(403, 'AccessDenied');
    sendFile(response, seen, entry, fault);
  };

  const serve =
    (place: HubRequestSeen['place'], answer: typeof answerHub) =>
    (request: IncomingMessage, response: ServerResponse): void => {
      const { method = '', url: path = '', headers } = request;
      const seen = { place, method, path, range: headers.range, authorization: headers.authorization };
      requests.push(seen);
      try {
        const fault = hub.fault(seen);
        if (fault?.status !== undefined && fault.status >= 300) {
          response.writeHead(fault.status, fault.headers).end();
          return;
        }
        answer(seen, response, fault);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        response.writeHead(error.status, { 'content-type': 'application/json', ...error.headers });
        response.end(seen.method === 'HEAD' ? undefined : JSON.stringify({ error: error.message }));
      }
    };

  const hubServer = await listen((request, response) => serve('hub', answerHub)(request, response));
  const cdnServer = await listen((request, response) => serve('cdn', answerCdn)(request, response));
  const hub: HubServer = {
    endpoint: addressOf(hubServer),
    requests,
    commitOf: (name, revision = 'main') => commitOfEntries(entriesOf(repositories[name]?.revisions[revision] ?? {})),
    fault: () => undefined,
    pageLength: 1000,
    async [Symbol.asyncDispose]() {
      for (const server of [hubServer, cdnServer]) {
        server.closeAllConnections();
        await new Promise((resolve) => {
          server.close(resolve);
        });
      }
    },
  };
  return hub;
};
