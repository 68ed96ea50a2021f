import process from 'node:process';
import { startNode } from '@weft/node-agent';

// An agent that dies, as by kill -9, in the moment in which the first bytes of a masked update would leave.

const [home = '', data = ''] = process.argv.slice(2);

/** `data`, field 2 of an UploadRequest; every other message and header that a node sends begins in another way. */
const uploadData = 0x12;

await startNode({
  home,
  dataPaths: [data],
  threads: 1,
  onEvent: (event) => void process.stdout.write(`${JSON.stringify(event)}\n`),
  onSend(bytes) {
    if (bytes[0] === uploadData) process.kill(process.pid, 'SIGKILL');
  },
});
