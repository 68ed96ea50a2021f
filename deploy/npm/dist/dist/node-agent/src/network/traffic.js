import { toBinary,                  } from '@bufbuild/protobuf';
import { InterceptingCall,                                 } from '@grpc/grpc-js';
import { methodPath, NodeService } from '../../../proto/src/index.js';

/** Counts the bytes of messages in both directions, and lets a test see each byte that leaves. */
                          
                           
                             
                                    
 

/**
 * Bytes are those of the serialised messages and of our own headers; the few that HTTP/2 and TLS add are not counted.
 * @param onSend sees each serialised message and header that the node sends
 */
export function createTraffic(onSend                              = () => {})          {
  let bytesUp = 0;
  let bytesDown = 0;
  const outputs = new Map(NodeService.methods.map((method) => [methodPath(method), method.output]));
  const interceptor              = (options, nextCall) => {
    const { path, requestSerialize } = options.method_definition;
    const output = outputs.get(path);
    const count = (bytes            )       => {
      bytesUp += bytes.length;
      onSend(bytes);
    };
    return new InterceptingCall(nextCall(options), {
      start(metadata, listener, next) {
        count(headerBytes(metadata));
        next(metadata, {
          ...listener,
          onReceiveMessage(message, pass) {
            bytesDown += sizeOf(output, message);
            pass(message);
          },
        });
      },
      sendMessage(message, next) {
        count(requestSerialize(message));
        next(message);
      },
    });
  };
  return {
    get bytesUp() {
      return bytesUp;
    },
    get bytesDown() {
      return bytesDown;
    },
    interceptor,
  };
}

const headerBytes = (metadata          )             => {
  const headers = Object.entries(metadata.getMap());
  return Buffer.from(headers.map(([key, value]) => `${key}: ${value.toString()}\n`).join(''));
};

const sizeOf = (schema                         , message         )         =>
  schema === undefined || message === null || message === undefined ? 0 : toBinary(schema, message         ).length;
