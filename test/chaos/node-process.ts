import process from 'node:process';
import { fromBinary } from '@bufbuild/protobuf';
import { startNode, type NodeOptions } from '@weft/node-agent';
import { NodeMessageSchema, SessionRequestSchema } from '@weft/proto';

/**
 * A node as a process of its own that ends itself, as kill -9 would, when it has written down what it is about to say in
 * a session, and before a byte of it has left. Argument, as JSON: the agent's options, and the name of that message.
 * Prints a line when it is connected.
 */
const { options, message } = JSON.parse(process.argv[2]!) as { options: NodeOptions; message?: string };

/** Of the session's messages and whatever else leaves. */
function secureName(bytes: Uint8Array): string | undefined {
  try {
    const { envelope } = fromBinary(SessionRequestSchema, bytes);
    const { kind } = fromBinary(NodeMessageSchema, envelope?.body ?? new Uint8Array());
    return kind.case === 'secure' ? kind.value.name : undefined;
  } catch {
    return undefined;
  }
}

const agent = await startNode({
  ...options,
  onEvent: ({ event }) => event === 'connected' && process.stdout.write('connected\n'),
  onSend(bytes) {
    if (message === undefined || secureName(bytes) !== message) return;
    process.kill(process.pid, 'SIGKILL');
    // The signal comes when it comes; until then nothing more may happen.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },
});
await agent.finished;
