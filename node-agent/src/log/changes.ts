/** What several wait for: each change lets them look again. */
export interface Changes {
  changed(): void;
  /** Resolves once it holds, or the signal ends the wait. */
  until(holds: () => boolean, signal?: AbortSignal): Promise<void>;
}

export function createChanges(): Changes {
  const listeners = new Set<() => void>();
  return {
    changed() {
      for (const listener of listeners) listener();
    },
    until: (holds, signal) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (!holds() && signal?.aborted !== true) return;
          listeners.delete(check);
          signal?.removeEventListener('abort', check);
          resolve();
        };
        listeners.add(check);
        signal?.addEventListener('abort', check);
        check();
      }),
  };
}
