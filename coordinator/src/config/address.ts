import { z } from 'zod';

/** HOST:PORT, an IPv6 address in brackets. */
export const addressSchema = z
  .string()
  .max(300)
  .regex(/^(\[[0-9a-fA-F:.]+\]|[^\s/:[\]]+):\d{1,5}$/, 'is not HOST:PORT');

/** An IPv6 address goes into brackets. */
export const formatAddress = (host: string, port: number): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** Where a server that listens on every address is reached from this machine. */
export const reachableHost = (host: string): string =>
  host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
