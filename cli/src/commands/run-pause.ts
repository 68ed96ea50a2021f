import { orderCommand } from '../run-order.ts';

export const command = orderCommand({
  order: 'pause',
  examples: ['weft run pause languages', 'weft run pause r_1f00 --home /srv/weft'],
});
