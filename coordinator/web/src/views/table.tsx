import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

interface TableProps {
  readonly label: string;
  readonly head: readonly string[];
  /** Many narrow columns. */
  readonly dense?: boolean;
  readonly children: ComponentChildren;
}

/** A table that scrolls inside its own box on a narrow screen; the box can be reached by keyboard. */
export function Table({ label, head, dense = false, children }: TableProps) {
  const id = useId();
  return (
    <div class="scroll" role="region" aria-labelledby={id} tabIndex={0}>
      <table class={dense ? 'dense' : undefined}>
        <caption id={id} class="unseen">
          {label}
        </caption>
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
