import { orderCommand } from '../run-order.ts';

export const command = orderCommand({
  order: 'resume',
  examples: ['weft run resume languages', 'weft run resume r_1f00 --home /srv/weft'],
});
