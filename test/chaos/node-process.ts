import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import process from 'node:process';
import { fromBinary } from '@bufbuild/protobuf';
import { startNode, type NodeOptions } from '@weft/node-agent';
import { NodeMessageSchema, SessionRequestSchema, type SecureMessage } from '@weft/proto';
import { keepHeldUpdate } from './held-update.ts';

/**
 * A node as a process of its own that ends itself, as kill -9 would, when it has written down what it is about to say in
 * a session, and before a byte of it has left. Argument, as JSON: the agent's options, the name of that message, and where
 * to keep what it trained. Prints a JSON line for each event, and before each message of a session leaves.
 */
const { options, message, held } = JSON.parse(process.argv[2]!) as {
  options: NodeOptions;
  message?: string;
  held: string;
};

/** A message of a session that is about to leave, with the SHA-256 of its body. */
export type Said = Pick<SecureMessage, 'runId' | 'round' | 'name'> & { readonly sha256: string };

/** Now: what waits in a stream would die with the process. */
const print = (line: unknown): void => void writeSync(1, `${JSON.stringify(line)}\n`);

/** Of the session's messages and whatever else leaves. */
function secureIn(bytes: Uint8Array): SecureMessage | undefined {
  try {
    const { envelope } = fromBinary(SessionRequestSchema, bytes);
    const { kind } = fromBinary(NodeMessageSchema, envelope?.body ?? new Uint8Array());
    return kind.case === 'secure' ? kind.value : undefined;
  } catch {
    return undefined;
  }
}

const agent = await startNode({
  ...options,
  onEvent(event) {
    if (event.event === 'trained') keepHeldUpdate(options.home, held);
    print(event);
  },
  onSend(bytes) {
    const secure = secureIn(bytes);
    if (secure === undefined) return;
    const { runId, round, name, body } = secure;
    print({ runId, round, name, sha256: createHash('sha256').update(body).digest('hex') } satisfies Said);
    if (message !== name) return;
    process.kill(process.pid, 'SIGKILL');
    // The signal comes when it comes; until then nothing more may happen.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },
});
await agent.finished;
