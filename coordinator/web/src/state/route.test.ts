import { describe, expect, it } from 'vitest';
import { parseRoute, toHref, type Route } from './route.ts';

describe('parseRoute', () => {
  it('reads what toHref wrote', () => {
    const routes: Route[] = [
      { name: 'runs' },
      { name: 'run', id: 'r_00112233445566778899aabbccddeeff' },
      { name: 'run', id: 'odd/id %' },
      { name: 'new-run' },
      { name: 'nodes' },
      { name: 'activity' },
    ];
    expect(routes.map((route) => parseRoute(toHref(route)))).toEqual(routes);
  });

  it('shows the runs for a fragment that it does not know', () => {
    expect(parseRoute('')).toEqual({ name: 'runs' });
    expect(parseRoute('#/elsewhere')).toEqual({ name: 'runs' });
  });
});
