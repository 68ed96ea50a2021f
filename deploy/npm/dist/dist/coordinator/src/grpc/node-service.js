import { create } from '@bufbuild/protobuf';
                                                   
import { EnrollResponseSchema, NodeService,                      } from '../../../proto/src/index.js';
                                   
                                                       
import { enrol,                       } from '../registry/enrolment.js';
                                                           
                                                        
                                                      
import { serveDownload } from '../transfers/download.js';
import { createTransferGate } from '../transfers/transfer-call.js';
import { serveUpload, serveUploadStatus } from '../transfers/upload.js';
import { toServiceError } from './edge.js';

                                                              
                              
                            
                           
                                 
                          
 

/** weft.v1.NodeService: each method hands over to its folder; errors are translated here and nowhere else. */
export function createNodeService(options                    )                                      {
  const { sessions, tickets, inbox, limits, logger } = options;
  const openTransfer = createTransferGate(tickets, limits);

  const answer =    (method        , work                      , callback                  )       => {
    void (async () => work())().then(
      (value) => callback(null, value),
      (error         ) => callback(toServiceError(error, logger, method)),
    );
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
      void serveDownload(call, inbox, openTransfer, limits).catch((error         ) => {
        call.emit('error', toServiceError(error, logger, 'Download'));
      }),
    upload: (call, callback) => answer('Upload', () => serveUpload(call, inbox, openTransfer, limits), callback),
    uploadStatus: ({ request }, callback) => answer('UploadStatus', () => serveUploadStatus(request, inbox, tickets), callback),
  };
}
