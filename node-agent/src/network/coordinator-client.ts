import { Client, type ChannelOptions } from '@grpc/grpc-js';
import { coordinatorServerName } from '@weft/shared';
import { pinnedCredentials } from './pinned-tls.ts';
import type { Traffic } from './traffic.ts';

/** Named limits of the channel, each with its reason. */
const limits = {
  /** A download chunk is 1 MiB, the roster of 10,000 members 2.3 MiB: what the coordinator sends at most. */
  messageBytes: 4 * 1024 * 1024,
  /** Notices a peer that vanished without a word, and keeps address translators on the way awake. */
  keepaliveTimeMs: 20_000,
  keepaliveTimeoutMs: 10_000,
} as const;

export interface CoordinatorAddress {
  /** host:port */
  readonly address: string;
  /** DER; TLS accepts this one and nothing else. */
  readonly certificate: Uint8Array;
}

/**
 * One channel to the coordinator. Close it after use: each attempt at a session opens its own, so that a failed
 * attempt leaves no back-off behind and a renewed certificate counts at once.
 */
export function openClient({ address, certificate }: CoordinatorAddress, traffic: Traffic): Client {
  const host = hostOf(address);
  const options: ChannelOptions = {
    'grpc.max_receive_message_length': limits.messageBytes,
    'grpc.max_send_message_length': limits.messageBytes,
    'grpc.keepalive_time_ms': limits.keepaliveTimeMs,
    'grpc.keepalive_timeout_ms': limits.keepaliveTimeoutMs,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.ssl_target_name_override': coordinatorServerName,
    // a proxy of the environment may be the way out, but never to this machine itself
    ...(isLoopback(host) && { 'grpc.enable_http_proxy': 0 }),
  };
  return new Client(`dns:${address}`, pinnedCredentials(certificate), {
    ...options,
    interceptors: [traffic.interceptor],
  });
}

const hostOf = (address: string): string => address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '');

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || host.startsWith('127.');
