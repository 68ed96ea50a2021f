import type { FastifyInstance } from 'fastify';
import { securityHeaders } from './security-headers.ts';
import { bundlePage, type Page } from '../../web/bundle.ts';

/** Serves the admin page: an explicit list of files, bundled when the first one is asked for. */
export function servePage(app: FastifyInstance): void {
  let page: Promise<Page> | undefined;
  app.get('/*', async (request, reply) => {
    page ??= bundlePage();
    const file = (await page).files.get(new URL(request.url, 'http://page').pathname);
    if (file === undefined) return reply.callNotFound();
    // Revalidated each time: after an update an old script must not meet a new API.
    return reply
      .headers({ ...securityHeaders, 'cache-control': 'no-cache' })
      .type(file.type)
      .send(Buffer.from(file.body));
  });
}
