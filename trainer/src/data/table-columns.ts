import { WeftError } from '@weft/shared';

/** The columns of a table that records are made of. */
export type TableColumns = (typeof known)[number];

/** The first of these that a table has counts; other columns are not read. */
const known = [['messages'], ['prompt', 'completion'], ['text']] as const;

/** A message is no place for a whole header: these suffice to see which file it is. */
const namesShown = 12;
const nameLength = 40;

export const columnsAmong = (names: readonly string[]): TableColumns | undefined =>
  known.find((columns) => columns.every((column) => names.includes(column)));

/** Names of columns are the schema, not the data: this error repeats them. */
export function missingColumns(names: readonly string[], file: string): WeftError {
  const shown = names
    .slice(0, namesShown)
    .map((name) => (name.length > nameLength ? `${name.slice(0, nameLength)}…` : name));
  const more = names.length > namesShown ? ` and ${names.length - namesShown} more` : '';
  return new WeftError(
    'WEFT_DATA_COLUMNS',
    `the table has no column messages, no columns prompt and completion, and no column text; it has: ${shown.join(', ') || 'none'}${more}`,
    { file, columns: names.length },
  );
}
