import { join } from 'node:path';
import { pino } from 'pino';
import { coordinatorIdentity, loopbackSpec } from '../runs/loopback-node.ts';
import { openLoopback, type Loopback } from '../runs/loopback.ts';
import { openTransparencyLog, type TransparencyLog } from './transparency-log.ts';

/** A federation in one process whose nodes are enrolled, so that its log has something to say: for tests. */
export async function openLoggedLoopback(): Promise<Loopback> {
  const loopback = await openLoopback();
  for (const { id, identity } of loopback.nodes) {
    const publicKey = Buffer.from(identity.publicKey).toString('hex');
    loopback.store.append([
      { kind: 'node.enrolled', nodeId: id, data: { publicKey, name: 'a library', organisation: '' } },
      { kind: 'node.approved', nodeId: id, data: { by: 'admin' } },
    ]);
  }
  return loopback;
}

export const silent = pino({ level: 'silent' });
export const logFolderOf = ({ home }: Loopback): string => join(home, 'log');

export const openLogOf = (loopback: Loopback): Promise<TransparencyLog> =>
  openTransparencyLog({
    store: loopback.store,
    identity: coordinatorIdentity,
    folder: logFolderOf(loopback),
    logger: silent,
  });

/** A run of every node, from its first round to its last. */
export async function runToTheEnd(loopback: Loopback): Promise<string> {
  const { id } = await loopback.runs.create(loopbackSpec());
  for (const node of loopback.nodes) loopback.connect(node);
  loopback.runs.start(id);
  await loopback.settle();
  return id;
}
