import { signal } from '@preact/signals';

/** What the page shows is in the fragment: the server knows one page, and the back button works. */
export type Route =
  | { readonly name: 'runs' }
  | { readonly name: 'run'; readonly id: string }
  | { readonly name: 'new-run' }
  | { readonly name: 'nodes' }
  | { readonly name: 'log' }
  | { readonly name: 'activity' };

export const parseRoute = (fragment: string): Route => {
  const [first = '', second = ''] = fragment.replace(/^#?\/?/, '').split('/');
  if (first === 'runs' && second === 'new') return { name: 'new-run' };
  if (first === 'runs' && second !== '') return { name: 'run', id: decodeURIComponent(second) };
  if (first === 'nodes') return { name: 'nodes' };
  if (first === 'log') return { name: 'log' };
  if (first === 'activity') return { name: 'activity' };
  return { name: 'runs' };
};

export const toHref = (route: Route): string => {
  switch (route.name) {
    case 'runs':
      return '#/runs';
    case 'run':
      return `#/runs/${encodeURIComponent(route.id)}`;
    case 'new-run':
      return '#/runs/new';
    case 'nodes':
      return '#/nodes';
    case 'log':
      return '#/log';
    case 'activity':
      return '#/activity';
  }
};

export const route = signal<Route>(parseRoute(globalThis.location?.hash ?? ''));

export const go = (next: Route): void => {
  location.hash = toHref(next);
};

export const followFragment = (): void => {
  addEventListener('hashchange', () => {
    route.value = parseRoute(location.hash);
  });
};
