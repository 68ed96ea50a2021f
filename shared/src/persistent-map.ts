/** The table, or what the next version has at one key beside this one. */
type Root<K, V> =
  | { readonly table: Map<K, V> }
  | { readonly next: PersistentMap<K, V>; readonly key: K; readonly value: V | undefined; readonly isAbsent: boolean };

/**
 * A map that never changes: `with` gives another version. To copy a Map for each of n entries costs n²; the versions here
 * share one table, which stands as the version that was asked last has it (H. Baker, Shallow Binding Makes Functional Arrays
 * Fast, 1991). Asked again and again, a version costs what a Map costs; a change to another, a step for each entry between.
 */
class PersistentMap<K, V> implements ReadonlyMap<K, V> {
  #root: Root<K, V>;

  constructor(table: Map<K, V>) {
    this.#root = { table };
  }

  with(key: K, value: V): PersistentMap<K, V> {
    const table = this.#table();
    const [before, isAbsent] = [table.get(key), !table.has(key)];
    const next = new PersistentMap(table.set(key, value));
    this.#root = { next, key, value: before, isAbsent };
    return next;
  }

  #table(): Map<K, V> {
    return PersistentMap.#tableOf(this);
  }

  /** Makes the shared table stand as this version has it. */
  static #tableOf<K, V>(asked: PersistentMap<K, V>): Map<K, V> {
    const path: PersistentMap<K, V>[] = [];
    let at = asked;
    while ('next' in at.#root) {
      path.push(at);
      at = at.#root.next;
    }
    const { table } = at.#root;
    for (const version of path.toReversed()) {
      const { key, value, isAbsent } = version.#root as Extract<Root<K, V>, { key: K }>;
      at.#root = { next: version, key, value: table.get(key), isAbsent: !table.has(key) };
      if (isAbsent) table.delete(key);
      else table.set(key, value as V);
      version.#root = { table };
      at = version;
    }
    return table;
  }

  get size(): number {
    return this.#table().size;
  }

  get(key: K): V | undefined {
    return this.#table().get(key);
  }

  has(key: K): boolean {
    return this.#table().has(key);
  }

  // Another version may be asked before the last entry is taken: what is walked is a copy.
  entries(): MapIterator<[K, V]> {
    const values = [...this.#table().values()];
    return [...this.#table().keys()].map((key, place): [K, V] => [key, values[place]!]).values();
  }

  keys(): MapIterator<K> {
    return [...this.#table().keys()].values();
  }

  values(): MapIterator<V> {
    return [...this.#table().values()].values();
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries();
  }

  forEach(visit: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this) visit(value, key, this);
  }
}

/** The same map with this entry; `map` stays as it is. Entries keep the order in which their keys came. */
export const withEntry = <K, V>(map: ReadonlyMap<K, V>, key: K, value: V): ReadonlyMap<K, V> =>
  (map instanceof PersistentMap ? (map as PersistentMap<K, V>) : new PersistentMap(new Map(map))).with(key, value);
