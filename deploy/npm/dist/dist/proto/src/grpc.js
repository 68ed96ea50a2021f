import { fromBinary, toBinary, create,                                                                                               } from '@bufbuild/protobuf';
                                           

/**
 * Turns a protobuf-es service into what grpc-js serves and calls. Messages cross the boundary as
 * protobuf-es messages; unknown fields are dropped, since nothing unsigned in them may be passed on.
 */
export function toServiceDefinition(service             )                         {
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
export const methodPath = (method            )         => `/${method.parent.typeName}/${method.name}`;

                                                            
                                                                    
                                                              

/** Handlers of a service, typed by its methods; for `server.addService(toServiceDefinition(S), handlers)`. */
                                                      
                                                                        
                                                                         
                                                             
                                                                                     
                                                               
                                                                                       
                                                                                      
  


/** A unary call as a promise. Rejects with grpc-js's ServiceError. */
export function callUnary                      (
  client             ,
  grpcMetadata               ,
  method   ,
  request              ,
  options                            = {},
)                     {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      methodPath(method),
      serializer(method.input),
      deserializer(method.output)                                ,
      create(method.input, request         )            ,
      grpcMetadata,
      options,
      (error, response) => (error ? reject(error) : resolve(response )),
    );
  });
}

/** A stream of answers; iterate it with `for await`. */
export function callServerStream                      (
  client             ,
  grpcMetadata               ,
  method   ,
  request              ,
  options                            = {},
)                                       {
  return client.makeServerStreamRequest(
    methodPath(method),
    serializer(method.input),
    deserializer(method.output)                                ,
    create(method.input, request         )            ,
    grpcMetadata,
    options,
  );
}

/** A stream of requests and one answer. */
export function callClientStream                      (
  client             ,
  grpcMetadata               ,
  method   ,
  callback                                                                 ,
  options                            = {},
)                                      {
  return client.makeClientStreamRequest(
    methodPath(method),
    serializer(method.input)                               ,
    deserializer(method.output)                                ,
    grpcMetadata,
    options,
    callback,
  );
}

/** Both ways at once. */
export function callBidiStream                      (
  client             ,
  grpcMetadata               ,
  method   ,
  options                            = {},
)                                               {
  return client.makeBidiStreamRequest(
    methodPath(method),
    serializer(method.input)                               ,
    deserializer(method.output)                                ,
    grpcMetadata,
    options,
  );
}

const serializer =
                         (schema   ) =>
  (message                 )         => {
    const bytes = toBinary(schema, message);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };

const deserializer =
                         (schema   ) =>
  (bytes        )                  =>
    fromBinary(schema, bytes, { readUnknownFields: false });
