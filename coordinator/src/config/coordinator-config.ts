import { z } from 'zod';
import { addressSchema } from './address.ts';

const port = z.coerce.number().int().min(0).max(65535);
const host = z.string().min(1).max(253);

/** Everything that an admin may set: flags over WEFT_* in the environment over config.yaml in the home over these defaults. */
export const coordinatorConfigSchema = z.strictObject({
  name: z.string().min(1).max(100).default('federation').describe('what operators see in their invite'),
  grpcHost: host.default('127.0.0.1').describe('address on which nodes are served'),
  grpcPort: port.default(7443).describe('port on which nodes are served; 0 for any free one'),
  httpHost: host
    .default('127.0.0.1')
    .describe(
      'address on which the admin page is served; other than loopback only behind something that keeps strangers out',
    ),
  httpPort: port.default(7480).describe('port on which the admin page is served; 0 for any free one'),
  advertise: addressSchema.optional().describe('HOST:PORT that invites carry; by default where nodes are served'),
  logLevel: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('least level of log lines on standard error'),
});

export type CoordinatorConfig = z.infer<typeof coordinatorConfigSchema>;
export type CoordinatorConfigKey = keyof CoordinatorConfig;
