import { decisionCommand } from '../node-decision.ts';

export const command = decisionCommand({
  order: 'revoke',
  examples: ['weft node revoke library-north', 'weft node revoke n_1f00 --home /srv/weft'],
  done: 'is out, its session has ended, and its key never comes in again',
});
