import { create } from '@bufbuild/protobuf';
import type { sendUnaryData } from '@grpc/grpc-js';
import { EnrollResponseSchema, type NodeService, type ServiceHandlers } from '@weft/proto';
import type { Logger } from 'pino';
import type { RunInbox } from '../federation/ports.ts';
import { enrol, type EnrolmentContext } from '../registry/enrolment.ts';
import type { NetworkLimits } from '../sessions/limits.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { Tickets } from '../sessions/tickets.ts';
import { serveDownload } from '../transfers/download.ts';
import { createTransferGate } from '../transfers/transfer-call.ts';
import { serveUpload, serveUploadStatus } from '../transfers/upload.ts';
import { toServiceError } from './edge.ts';

export interface NodeServiceOptions extends EnrolmentContext {
  readonly sessions: Sessions;
  readonly tickets: Tickets;
  readonly inbox: RunInbox;
  readonly limits: NetworkLimits;
  readonly logger: Logger;
}

/** weft.v1.NodeService: each method hands over to its folder; errors are translated here and nowhere else. */
export function createNodeService(options: NodeServiceOptions): ServiceHandlers<typeof NodeService> {
  const { sessions, tickets, inbox, limits, logger } = options;
  const openTransfer = createTransferGate(tickets, limits);

  const answer = <T>(method: string, work: () => T | Promise<T>, callback: sendUnaryData<T>): void => {
    const finish = async (): Promise<void> => {
      let value: T;
      try {
        value = await work();
      } catch (error) {
        callback(toServiceError(error, logger, method));
        return;
      }
      callback(null, value);
    };
    void finish();
  };

  return {
    enroll: ({ request }, callback) =>
      answer(
        'Enroll',
        () => {
          const { node, answer } = enrol(request, options);
          logger.info({ nodeId: node.id, state: node.state }, 'node enrolled');
          return create(EnrollResponseSchema, { envelope: answer });
        },
        callback,
      ),
    session: (call) => void sessions.serve(call, inbox),
    download: (call) =>
      void serveDownload(call, inbox, openTransfer, limits).catch((error: unknown) => {
        call.emit('error', toServiceError(error, logger, 'Download'));
      }),
    upload: (call, callback) => answer('Upload', () => serveUpload(call, inbox, openTransfer, limits), callback),
    uploadStatus: ({ request }, callback) =>
      answer('UploadStatus', () => serveUploadStatus(request, inbox, tickets), callback),
  };
}
