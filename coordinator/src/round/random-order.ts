import type { RoundRandom } from './turn.ts';

/** Fisher-Yates. */
export function inRandomOrder<T>(items: readonly T[], random: RoundRandom): T[] {
  const order = [...items];
  for (let last = order.length - 1; last > 0; last--) {
    const chosen = random.integer(last + 1);
    [order[last], order[chosen]] = [order[chosen]!, order[last]!];
  }
  return order;
}
