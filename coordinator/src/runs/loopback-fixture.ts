import { afterEach } from 'vitest';
import { beginByHand, openLoopback, type Loopback } from './loopback.ts';

type Spec = Parameters<typeof beginByHand>[1];

const open: Loopback[] = [];
afterEach(async () => {
  for (const loopback of open.splice(0)) await loopback.close();
});

/** Closed after the test. */
export const loopbackOf = async (options: Parameters<typeof openLoopback>[0] = {}): Promise<Loopback> => {
  const loopback = await openLoopback(options);
  open.push(loopback);
  return loopback;
};

/** In its first round, with nodes that do what the test says. */
export const byHand = async (spec: Spec = {}) => {
  const loopback = await loopbackOf({ automatic: false });
  return { loopback, ...(await beginByHand(loopback, spec)) };
};

/** The same, once every node has said that it is ready. */
export const reachCollecting = async (spec: Spec = {}) => {
  const begun = await byHand(spec);
  for (const node of begun.nodes) await node.ready(node.offer);
  return begun;
};
