import {
  fromBinary,
  toBinary,
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import type * as grpc from '@grpc/grpc-js';

/**
 * Turns a protobuf-es service into what grpc-js serves and calls. Messages cross the boundary as
 * protobuf-es messages; unknown fields are dropped, since nothing unsigned in them may be passed on.
 */
export function toServiceDefinition(service: DescService): grpc.ServiceDefinition {
  return Object.fromEntries(
    service.methods.map((method) => [
      method.localName,
      {
        path: methodPath(method),
        requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
        responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
        requestSerialize: serializer(method.input),
        requestDeserialize: deserializer(method.input),
        responseSerialize: serializer(method.output),
        responseDeserialize: deserializer(method.output),
      },
    ]),
  );
}

/** `/weft.v1.NodeService/Session` */
export const methodPath = (method: DescMethod): string => `/${method.parent.typeName}/${method.name}`;

type Input<M extends DescMethod> = MessageShape<M['input']>;
type InputInit<M extends DescMethod> = MessageInitShape<M['input']>;
type Output<M extends DescMethod> = MessageShape<M['output']>;

/**
 * Handlers of a service, typed by its methods; for `server.addService(toServiceDefinition(S), handlers)`. On a stream both
 * ways the bytes of an answer do in its place, for whoever has them already.
 */
export type ServiceHandlers<S extends DescService> = {
  [K in keyof S['method']]: S['method'][K]['methodKind'] extends 'unary'
    ? grpc.handleUnaryCall<Input<S['method'][K]>, Output<S['method'][K]>>
    : S['method'][K]['methodKind'] extends 'client_streaming'
      ? grpc.handleClientStreamingCall<Input<S['method'][K]>, Output<S['method'][K]>>
      : S['method'][K]['methodKind'] extends 'server_streaming'
        ? grpc.handleServerStreamingCall<Input<S['method'][K]>, Output<S['method'][K]>>
        : grpc.handleBidiStreamingCall<Input<S['method'][K]>, Output<S['method'][K]> | Uint8Array>;
};

/** A unary call as a promise. Rejects with grpc-js's ServiceError. */
export function callUnary<M extends DescMethod>(
  client: grpc.Client,
  grpcMetadata: grpc.Metadata,
  method: M,
  request: InputInit<M>,
  options: Partial<grpc.CallOptions> = {},
): Promise<Output<M>> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      methodPath(method),
      serializer(method.input),
      deserializer(method.output) as (bytes: Buffer) => Output<M>,
      create(method.input, request as never) as Input<M>,
      grpcMetadata,
      options,
      (error, response) => (error ? reject(error) : resolve(response!)),
    );
  });
}

/** A stream of answers; iterate it with `for await`. */
export function callServerStream<M extends DescMethod>(
  client: grpc.Client,
  grpcMetadata: grpc.Metadata,
  method: M,
  request: InputInit<M>,
  options: Partial<grpc.CallOptions> = {},
): grpc.ClientReadableStream<Output<M>> {
  return client.makeServerStreamRequest(
    methodPath(method),
    serializer(method.input),
    deserializer(method.output) as (bytes: Buffer) => Output<M>,
    create(method.input, request as never) as Input<M>,
    grpcMetadata,
    options,
  );
}

/** A stream of requests and one answer. */
export function callClientStream<M extends DescMethod>(
  client: grpc.Client,
  grpcMetadata: grpc.Metadata,
  method: M,
  callback: (error: grpc.ServiceError | null, response?: Output<M>) => void,
  options: Partial<grpc.CallOptions> = {},
): grpc.ClientWritableStream<Input<M>> {
  return client.makeClientStreamRequest(
    methodPath(method),
    serializer(method.input) as (value: Input<M>) => Buffer,
    deserializer(method.output) as (bytes: Buffer) => Output<M>,
    grpcMetadata,
    options,
    callback,
  );
}

/** Both ways at once. */
export function callBidiStream<M extends DescMethod>(
  client: grpc.Client,
  grpcMetadata: grpc.Metadata,
  method: M,
  options: Partial<grpc.CallOptions> = {},
): grpc.ClientDuplexStream<Input<M>, Output<M>> {
  return client.makeBidiStreamRequest(
    methodPath(method),
    serializer(method.input) as (value: Input<M>) => Buffer,
    deserializer(method.output) as (bytes: Buffer) => Output<M>,
    grpcMetadata,
    options,
  );
}

const serializer =
  <D extends DescMessage>(schema: D) =>
  (message: MessageShape<D> | Uint8Array): Buffer => {
    const bytes = message instanceof Uint8Array ? message : toBinary(schema, message);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };

const deserializer =
  <D extends DescMessage>(schema: D) =>
  (bytes: Buffer): MessageShape<D> =>
    fromBinary(schema, bytes, { readUnknownFields: false });
