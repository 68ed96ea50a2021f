import type { TensorType } from './types.ts';

/** A graph that cannot be: wrong shapes, an undeclared save. A fault of the program that builds it, never of a user. */
export class GraphError extends Error {
  override readonly name = 'GraphError';
}

/**
 * Stands for the length of an axis that each run decides anew. It is a prime above every other length, so that a product
 * of lengths, such as rows times width, shows whether it is open too.
 */
export const openLength = 1_000_003;
export const isOpen = (length: number): boolean => length % openLength === 0 && length > 0;

export const elementCount = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((size, axis) => size === b[axis]);

export const describe = ({ dtype, shape }: TensorType): string => `${dtype}[${shape.join(', ')}]`;

/** Size of an axis, counted from the end when negative. */
export function sizeAt(type: TensorType, axis: number): number {
  const size = type.shape.at(axis);
  if (size === undefined) throw new GraphError(`${describe(type)} has no axis ${axis}`);
  return size;
}

/** NumPy's rule: shapes are aligned at the last axis, sizes are equal or one of them is 1. */
export function broadcastShapes(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, position) => {
    const left = a[position - rank + a.length] ?? 1;
    const right = b[position - rank + b.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) {
      throw new GraphError(`shapes [${a.join(', ')}] and [${b.join(', ')}] cannot be broadcast`);
    }
    return Math.max(left, right);
  });
}

/** Axes of `from`, a broadcast of `to`, that must be summed to get back to `to`. */
export function broadcastAxes(from: readonly number[], to: readonly number[]): number[] {
  const added = from.length - to.length;
  return from.flatMap((size, axis) => (axis < added || (to[axis - added] === 1 && size !== 1) ? [axis] : []));
}
