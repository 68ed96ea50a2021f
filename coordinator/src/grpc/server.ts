import { Server, ServerCredentials, logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import { NodeService, toServiceDefinition, type ServiceHandlers } from '@weft/proto';
import { WeftError } from '@weft/shared';
import type { NetworkLimits } from '../sessions/limits.ts';

export interface GrpcServer {
  readonly port: number;
  /** Lets running calls end, but no longer than this. */
  close(graceMs: number): Promise<void>;
}

export interface GrpcServerOptions {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly handlers: ServiceHandlers<typeof NodeService>;
  readonly limits: NetworkLimits;
}

/** A piece's message around its data: offset, total, tags. */
const framingBytes = 64 * 1024;

/** Serves nodes over TLS. @throws WEFT_PORT_IN_USE */
export async function startGrpcServer({
  host,
  port,
  certificatePem,
  privateKeyPem,
  handlers,
  limits,
}: GrpcServerOptions): Promise<GrpcServer> {
  // It writes to standard error by itself, and what matters of that comes as an error or an ended call anyway.
  setLogVerbosity(logVerbosity.NONE);
  const server = new Server({
    'grpc.max_receive_message_length': limits.chunkBytes + framingBytes,
    'grpc.max_send_message_length': Math.max(limits.chunkBytes + framingBytes, limits.sentMessageBytes),
    'grpc.max_concurrent_streams': limits.streamsPerConnection,
    // A connection without any call is somebody who looks around.
    'grpc.max_connection_idle_ms': 5 * 60_000,
    // Finds connections whose other end has vanished without a word, behind a router for instance.
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 20_000,
    // Megabytes for each connection: sixteen streams of two pieces each, and room.
    'grpc-node.max_session_memory': 64,
    'grpc.so_reuseport': 0,
  });
  server.addService(toServiceDefinition(NodeService), handlers);
  const credentials = ServerCredentials.createSsl(null, [
    { cert_chain: Buffer.from(certificatePem), private_key: Buffer.from(privateKeyPem) },
  ]);
  const boundPort = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${host.includes(':') ? `[${host}]` : host}:${port}`, credentials, (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  }).catch((cause: Error) => {
    server.forceShutdown();
    if (!cause.message.includes('EADDRINUSE')) throw cause;
    throw new WeftError('WEFT_PORT_IN_USE', `port ${port} on ${host} is taken`, { port }, { cause });
  });
  return {
    port: boundPort,
    async close(graceMs) {
      const timer = setTimeout(() => server.forceShutdown(), graceMs);
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      clearTimeout(timer);
    },
  };
}
