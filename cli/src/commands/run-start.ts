import { orderCommand } from '../run-order.ts';

export const command = orderCommand({
  order: 'start',
  examples: ['weft run start languages', 'weft run start r_1f00 --home /srv/weft'],
});
