import { decisionCommand } from '../node-decision.ts';

export const command = decisionCommand({
  order: 'approve',
  examples: ['weft node approve library-north', 'weft node approve n_1f00 --home /srv/weft'],
  done: 'takes part from now on',
});
