import pc from 'picocolors';
import type { DemoReport } from './demo-report.ts';

/** The closing table, as lines for a terminal: losses by language, traffic by node, seconds by kind of work. */
export function formatReport(report: DemoReport): string {
  const tags = Object.keys(report.languages);
  const locals = report.nodes.map(({ name }) => name);
  const losses = table([
    ['held-out loss, nats a token', 'base', ...locals.map((name) => `only ${name}`), 'federated', 'federated ÷ own'],
    ...tags.map((tag) => {
      const { base, federated, local } = report.languages[tag]!;
      const own = local[report.nodes.find(({ language }) => language === tag)!.name]!;
      const best = (value: number): string =>
        value === Math.min(base, federated, ...Object.values(local)) ? pc.bold(loss(value)) : loss(value);
      return [
        languageName(tag),
        best(base),
        ...locals.map((name) => best(local[name]!)),
        best(federated),
        (federated / own).toFixed(3),
      ];
    }),
  ]);
  const traffic = table([
    ['node', 'language', 'examples', 'up', 'down'],
    ...report.nodes.map(({ name, language, examples, bytesUp, bytesDown }) => [
      name,
      languageName(language),
      String(examples),
      megabytes(bytesUp),
      megabytes(bytesDown),
    ]),
  ]);
  const { training, transfer, aggregation, total } = report.seconds;
  return [
    losses,
    '',
    traffic,
    '',
    `seconds: training ${training.toFixed(1)}, transfer ${transfer.toFixed(1)}, aggregation ${aggregation.toFixed(1)}, demo in all ${total.toFixed(1)}`,
    `model:   ${report.model.name}, sha256 ${report.model.sha256}`,
    `adapter: ${report.adapter.path}, after ${report.rounds} rounds, sha256 ${report.adapter.sha256}`,
  ].join('\n');
}

const loss = (value: number): string => value.toFixed(3);
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`;

/** `tr` → `Turkish`; the tag itself where this Node knows no name. */
export const languageName = (tag: string): string => new Intl.DisplayNames(['en'], { type: 'language' }).of(tag) ?? tag;

/** Columns as wide as their widest cell; the first is a name, the others are figures and stand to the right. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => visibleWidth(row[column] ?? ''))));
  return rows
    .map((row, index) => {
      const line = row
        .map((cell, column) => {
          const padding = ' '.repeat(widths[column]! - visibleWidth(cell));
          return column === 0 ? cell + padding : padding + cell;
        })
        .join('  ');
      return index === 0 ? pc.dim(line) : line;
    })
    .join('\n');
}

const visibleWidth = (text: string): number => [...text.replaceAll(/\u001B\[\d+m/g, '')].length;
