import process from 'node:process';
import { WeftError, type ErrorCode, type log } from '@weft/shared';

const line = ({ verdict, claim, entry, party }: log.Finding): string =>
  `${verdict.padEnd(11)}  ${entry === undefined ? '' : `entry ${entry}: `}${claim}${party === undefined ? '' : ` (at fault: ${party})`}\n`;

/**
 * Prints one line a claim as it comes.
 * @throws an error of this code where one does not hold
 */
export async function reportFindings(
  findings: AsyncIterable<log.Finding> | Iterable<log.Finding>,
  code: ErrorCode,
  { json }: { readonly json?: true },
): Promise<void> {
  const failed: log.Finding[] = [];
  for await (const finding of findings) {
    process.stdout.write(json ? `${JSON.stringify(finding)}\n` : line(finding));
    if (finding.verdict === 'fails') failed.push(finding);
  }
  const [first] = failed;
  if (first === undefined) return;
  const where = first.entry === undefined ? '' : `entry ${first.entry}: `;
  throw new WeftError(
    code,
    `${failed.length} claim${failed.length === 1 ? ' does' : 's do'} not hold; the first: ${where}${first.claim} (at fault: ${first.party ?? 'nobody known'})`,
    { failed: failed.length },
  );
}
