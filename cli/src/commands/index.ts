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
  { words: ['generate'], summary: 'continue a prompt', load: () => import('./generate.ts') },
  {
    words: ['chat'],
    summary: "talk with a model, through the model's own chat template",
    load: () => import('./chat.ts'),
  },
  {
    words: ['export'],
    summary: 'write an adapter, or base and adapter merged, for other tools',
    load: () => import('./export.ts'),
  },
  {
    words: ['model', 'pull'],
    summary: 'fetch a model from a Hugging Face hub, verified, into the cache',
    load: () => import('./model-pull.ts'),
  },
  { words: ['model', 'list'], summary: 'the models that were pulled', load: () => import('./model-list.ts') },
  {
    words: ['model', 'show'],
    summary: 'what a model folder or GGUF holds, with its hash',
    load: () => import('./model-show.ts'),
  },
  {
    words: ['model', 'verify'],
    summary: 'hold a model against the signed statement beside it',
    load: () => import('./model-verify.ts'),
  },
  {
    words: ['doctor'],
    summary: 'what this machine can train on, and what keeps it from more',
    load: () => import('./doctor.ts'),
  },
  { words: ['node', 'join'], summary: 'enrol this machine with an invite', load: () => import('./node-join.ts') },
  {
    words: ['node', 'start'],
    summary: 'take part in rounds with data that stays here',
    load: () => import('./node-start.ts'),
  },
  {
    words: ['node', 'status'],
    summary: 'which federation, which node, and what was sent last',
    load: () => import('./node-status.ts'),
  },
  {
    words: ['node', 'history'],
    summary: 'everything that this node sent, in plain words',
    load: () => import('./node-history.ts'),
  },
  {
    words: ['node', 'evidence'],
    summary: 'where the coordinator was caught lying, and to take part again',
    load: () => import('./node-evidence.ts'),
  },
  {
    words: ['node', 'ledger'],
    summary: "what this node's data has spent of its privacy",
    load: () => import('./node-ledger.ts'),
  },
  {
    words: ['node', 'policy', 'init'],
    summary: 'write down what this node takes part in',
    load: () => import('./node-policy-init.ts'),
  },
  {
    words: ['node', 'policy', 'show'],
    summary: 'the policy in plain words, and the runs that wait for approval',
    load: () => import('./node-policy-show.ts'),
  },
  {
    words: ['node', 'policy', 'approve'],
    summary: 'let a run begin that waits for approval by hand',
    load: () => import('./node-policy-approve.ts'),
  },
  {
    words: ['node', 'policy', 'trust-model'],
    summary: 'let a base model be trained that a publisher of the policy signed',
    load: () => import('./node-policy-trust-model.ts'),
  },
  {
    words: ['node', 'trust'],
    summary: "accept the coordinator's renewed certificate",
    load: () => import('./node-trust.ts'),
  },
  {
    words: ['coordinator', 'init'],
    summary: "make the home of a federation's server",
    load: () => import('./coordinator-init.ts'),
  },
  {
    words: ['coordinator', 'start'],
    summary: 'serve nodes and the admin page',
    load: () => import('./coordinator-start.ts'),
  },
  {
    words: ['invite', 'create'],
    summary: 'make a token that lets one node in',
    load: () => import('./invite-create.ts'),
  },
  { words: ['node', 'list'], summary: 'the nodes of a federation', load: () => import('./node-list.ts') },
  { words: ['node', 'approve'], summary: 'let an enrolled node take part', load: () => import('./node-approve.ts') },
  { words: ['node', 'revoke'], summary: 'put a node out, for good', load: () => import('./node-revoke.ts') },
  { words: ['run', 'create'], summary: 'enter a run spec', load: () => import('./run-create.ts') },
  { words: ['run', 'start'], summary: 'begin a run', load: () => import('./run-start.ts') },
  { words: ['run', 'list'], summary: 'the runs of a federation', load: () => import('./run-list.ts') },
  { words: ['run', 'show'], summary: 'a run with its rounds', load: () => import('./run-show.ts') },
  { words: ['run', 'watch'], summary: 'follow a run until it ends', load: () => import('./run-watch.ts') },
  { words: ['run', 'pause'], summary: 'end the round and wait', load: () => import('./run-pause.ts') },
  { words: ['run', 'resume'], summary: 'go on with a paused run', load: () => import('./run-resume.ts') },
  {
    words: ['run', 'rollback'],
    summary: 'go back to an earlier version of the adapter',
    load: () => import('./run-rollback.ts'),
  },
  { words: ['run', 'stop'], summary: 'end a run for good', load: () => import('./run-stop.ts') },
  {
    words: ['run', 'export'],
    summary: 'write the newest adapter in the layout of PEFT',
    load: () => import('./run-export.ts'),
  },
  {
    words: ['node', 'key'],
    summary: "this node's public key, for an organisation to endorse",
    load: () => import('./node-key.ts'),
  },
  { words: ['org', 'create'], summary: "make an organisation's key", load: () => import('./org-create.ts') },
  {
    words: ['org', 'key'],
    summary: "an organisation's public key, for policies to list",
    load: () => import('./org-key.ts'),
  },
  {
    words: ['org', 'endorse'],
    summary: "sign for a node, so that others need not take the coordinator's word for it",
    load: () => import('./org-endorse.ts'),
  },
  {
    words: ['org', 'sign-model'],
    summary: 'sign that a base model is yours',
    load: () => import('./org-sign-model.ts'),
  },
  {
    words: ['log', 'verify'],
    summary: 'walk a transparency log: what holds, what fails, what cannot be seen',
    load: () => import('./log-verify.ts'),
  },
  {
    words: ['log', 'show'],
    summary: 'the entries of a transparency log',
    load: () => import('./log-show.ts'),
  },
  {
    words: ['privacy', 'epsilon'],
    summary: 'what noise costs over many steps, as (ε, δ)',
    load: () => import('./privacy-epsilon.ts'),
  },
  {
    words: ['privacy', 'plan'],
    summary: 'what noise a budget needs, and whether that makes sense',
    load: () => import('./privacy-plan.ts'),
  },
];
