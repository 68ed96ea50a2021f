import pc from 'picocolors';
import type { DemoReport } from './demo-report.ts';

/**
 * The closing table: losses by language, traffic by node, seconds by kind of work.
 * @param isTerminal where it is, the best loss of each language stands out
 */
export function formatReport(report: DemoReport, isTerminal = false): string {
  const { bold, dim } = pc.createColors(isTerminal);
  const tags = Object.keys(report.languages);
  const locals = report.nodes.map(({ name }) => name);
  const [lossHead, ...lossRows] = table([
    ['held-out loss, nats a token', 'base', ...locals.map((name) => `only ${name}`), 'federated', 'federated ÷ own'],
    ...tags.map((tag) => {
      const { base, federated, local } = report.languages[tag]!;
      const own = local[report.nodes.find(({ language }) => language === tag)!.name]!;
      const best = (value: number): string =>
        value === Math.min(base, federated, ...Object.values(local)) ? bold(loss(value)) : loss(value);
      return [
        languageName(tag),
        best(base),
        ...locals.map((name) => best(local[name]!)),
        best(federated),
        (federated / own).toFixed(3),
      ];
    }),
  ]);
  const [trafficHead, ...trafficRows] = table([
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
    dim(lossHead),
    ...lossRows,
    '',
    verdict(report),
    '',
    dim(trafficHead),
    ...trafficRows,
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
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => visibleWidth(row[column] ?? ''))));
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const padding = ' '.repeat(widths[column]! - visibleWidth(cell));
        return column === 0 ? cell + padding : padding + cell;
      })
      .join('  '),
  );
}

/** What the table shows, counted: the two comparisons that a federation has to win. */
function verdict({ languages, nodes }: DemoReport): string {
  const all = Object.entries(languages);
  const beatsBase = all.filter(([, { base, federated }]) => federated < base).length;
  const strangers = all.flatMap(([tag, { federated, local }]) =>
    nodes.filter(({ language }) => language !== tag).map(({ name }) => federated < local[name]!),
  );
  return (
    `The federated adapter is better than the base model in ${beatsBase} of ${all.length} languages, and better than ` +
    `an adapter from another node alone in ${strangers.filter(Boolean).length} of ${strangers.length} cases.`
  );
}

const visibleWidth = (text: string): number => [...text.replaceAll(/\u001B\[\d+m/g, '')].length;
