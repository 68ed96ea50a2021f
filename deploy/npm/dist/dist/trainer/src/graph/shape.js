                                             

/** A graph that cannot be: wrong shapes, an undeclared save. A fault of the program that builds it, never of a user. */
export class GraphError extends Error {
                    name = 'GraphError';
}

export const elementCount = (shape                   )         => shape.reduce((product, size) => product * size, 1);

export const sameShape = (a                   , b                   )          =>
  a.length === b.length && a.every((size, axis) => size === b[axis]);

export const describe = ({ dtype, shape }            )         => `${dtype}[${shape.join(', ')}]`;

/** Size of an axis, counted from the end when negative. */
export function sizeAt(type            , axis        )         {
  const size = type.shape.at(axis);
  if (size === undefined) throw new GraphError(`${describe(type)} has no axis ${axis}`);
  return size;
}

/** NumPy's rule: shapes are aligned at the last axis, sizes are equal or one of them is 1. */
export function broadcastShapes(a                   , b                   )           {
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
export function broadcastAxes(from                   , to                   )           {
  const added = from.length - to.length;
  return from.flatMap((size, axis) => (axis < added || (to[axis - added] === 1 && size !== 1) ? [axis] : []));
}
