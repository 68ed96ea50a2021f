import { orderCommand } from '../run-order.ts';

export const command = orderCommand({
  order: 'stop',
  examples: ['weft run stop languages', 'weft run stop r_1f00 --home /srv/weft'],
});
