import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Network sockets of a process, each end as `host:port`. */
export interface Sockets {
  readonly listening: ReadonlySet<string>;
  /** By what is reached, of sockets that the process opened itself. */
  readonly reached: ReadonlySet<string>;
}

/** The kernel's state of a socket that listens; what has no peer in UDP listens as well. */
const listens = '0A';
const tables = ['tcp', 'tcp6', 'udp', 'udp6'];

/** Linux writes an address as 32-bit words in the machine's order, which is little-endian wherever Weft runs. */
function addressOf(hex: string): string {
  const [host = '', port = ''] = hex.split(':');
  const bytes = host.match(/.{8}/g)!.flatMap((word) => [...Buffer.from(word, 'hex').reverse()]);
  const isMapped = bytes.length === 16 && bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255;
  const name =
    bytes.length === 4 || isMapped
      ? bytes.slice(-4).join('.')
      : `[${Buffer.from(bytes).toString('hex').match(/.{4}/g)!.join(':')}]`;
  return `${name}:${parseInt(port, 16)}`;
}

/** Inodes of all that a process holds open; empty once it is gone. */
function inodesOf(pid: number): Set<string> {
  const folder = `/proc/${pid}/fd`;
  try {
    return new Set(
      readdirSync(folder).flatMap((fd) => {
        try {
          return /^socket:\[(\d+)\]$/.exec(readlinkSync(join(folder, fd)))?.[1] ?? [];
        } catch {
          return [];
        }
      }),
    );
  } catch {
    return new Set();
  }
}

/** What the kernel says of a process's sockets just now, on Linux. */
export function socketsOf(pid: number): Sockets {
  const inodes = inodesOf(pid);
  const rows = tables.flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter(({ 9: inode = '' }) => inodes.has(inode))
      .map(({ 1: local = '', 2: remote = '', 3: state }) => ({
        local: addressOf(local),
        remote: addressOf(remote),
        listens: state === listens || (table.startsWith('udp') && remote.endsWith(':0000')),
      })),
  );
  const listening = new Set(rows.filter((row) => row.listens).map(({ local }) => local));
  // whoever comes in comes in at an address that is listened on
  const opened = rows.filter((row) => !row.listens && !listening.has(row.local));
  return { listening, reached: new Set(opened.map(({ remote }) => remote)) };
}

/** Looks at a process's sockets again and again; a connection that lasts less than 150 ms may be missed. */
export function watchSockets(pid: number): { end(): Sockets } {
  const listening = new Set<string>();
  const reached = new Set<string>();
  const look = (): void => {
    try {
      const now = socketsOf(pid);
      for (const address of now.listening) listening.add(address);
      for (const address of now.reached) reached.add(address);
    } catch {
      // it ended between two looks
    }
  };
  look();
  const timer = setInterval(look, 150);
  return {
    end() {
      clearInterval(timer);
      return { listening, reached };
    },
  };
}
