import type { ComponentChildren } from 'preact';

interface TableProps {
  readonly label: string;
  readonly head: readonly string[];
  /** Many narrow columns. */
  readonly dense?: boolean;
  readonly children: ComponentChildren;
}

/** A table that scrolls inside its own box on a narrow screen; the box can be reached by keyboard. */
export function Table({ label, head, dense = false, children }: TableProps) {
  return (
    <div class="scroll" role="region" aria-label={label} tabIndex={0}>
      <table class={dense ? 'dense' : undefined}>
        <thead>
          <tr>
            {head.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
