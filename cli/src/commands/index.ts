import type { CommandEntry } from '../command.ts';

/** Every command of `weft`, in the order in which `weft --help` lists them. */
export const commands: readonly CommandEntry[] = [
  {
    words: ['demo'],
    summary: 'a federation of three nodes on this machine, each with its own language',
    load: () => import('./demo.ts'),
  },
  { words: ['train'], summary: 'fine-tune a LoRA adapter on this machine', load: () => import('./train.ts') },
  { words: ['eval'], summary: 'loss and perplexity of a model on a file', load: () => import('./eval.ts') },
  {
    words: ['model', 'show'],
    summary: 'what a model folder or GGUF holds, with its hash',
    load: () => import('./model-show.ts'),
  },
  { words: ['node', 'join'], summary: 'enrol this machine with an invite', load: () => import('./node-join.ts') },
  { words: ['node', 'start'], summary: 'take part in rounds with data that stays here', load: () => import('./node-start.ts') },
  { words: ['node', 'status'], summary: 'which federation, which node, and what was sent last', load: () => import('./node-status.ts') },
  { words: ['node', 'history'], summary: 'everything that this node sent, in plain words', load: () => import('./node-history.ts') },
  { words: ['node', 'trust'], summary: "accept the coordinator's renewed certificate", load: () => import('./node-trust.ts') },
];
