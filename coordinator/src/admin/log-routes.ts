import { createReadStream } from 'node:fs';
import { WeftError } from '@weft/shared';
import type { FastifyInstance } from 'fastify';
import { textFiles } from '../log/log-files.ts';
import type { TransparencyLog } from '../log/transparency-log.ts';

/** The log for everyone, as tlog-tiles serves it: a tile never changes, the checkpoint does. */
export function serveLog(app: FastifyInstance, transparencyLog: Pick<TransparencyLog, 'read' | 'find'>): void {
  app.get('/log/*', async (request, reply) => {
    const path = (request.params as { '*': string })['*'];
    const body = await transparencyLog.find(path);
    if (body !== undefined)
      return reply.header('cache-control', 'no-cache').type('application/octet-stream').send(createReadStream(body));
    const bytes = await transparencyLog.read(path);
    if (bytes === undefined) throw new WeftError('WEFT_LOG_NOT_FOUND', 'the log has no such file');
    const text = textFiles.includes(path);
    return reply
      .header('cache-control', text ? 'no-cache' : 'public, max-age=31536000, immutable')
      .type(text ? 'text/plain; charset=utf-8' : 'application/octet-stream')
      .send(Buffer.from(bytes));
  });
}
