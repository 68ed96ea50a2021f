export * from './gen/weft/v1/envelope_pb.ts';
export * from './gen/weft/v1/log_pb.ts';
export * from './gen/weft/v1/node_pb.ts';
export * from './gen/weft/v1/round_pb.ts';
export {
  callBidiStream,
  callClientStream,
  callServerStream,
  callUnary,
  methodPath,
  toServiceDefinition,
  type ServiceHandlers,
} from './grpc.ts';
