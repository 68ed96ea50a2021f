export * from './gen/weft/v1/envelope_pb.js';
export * from './gen/weft/v1/node_pb.js';
export * from './gen/weft/v1/round_pb.js';
export {
  callBidiStream,
  callClientStream,
  callServerStream,
  callUnary,
  methodPath,
  toServiceDefinition,
                       
} from './grpc.js';
