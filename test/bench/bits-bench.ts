import { type RunDetailView, type RunSpecInput, updateEncoding } from '@weft/shared';
import { openFederation, sentences, type TestFederation } from '../e2e/federation.ts';

/** One secure run of the same nodes, data and seed; only the bits of a value differ. */
export interface BitsRun {
  readonly quantizationBits: number;
  /** b: of the ring that the sum needs. */
  readonly ringBits: number;
  /** Of the masked update that a node sent in a round. */
  readonly payloadBytes: number;
  /** Held-out loss, nats a token, of the adapter before the first round and after the last. */
  readonly lossBefore: number;
  readonly lossAfter: number;
}

export interface BitsBench {
  readonly nodes: number;
  readonly rounds: number;
  /** The longest update of a first run of 16 bits: what all are clipped to. */
  readonly clipNormL2: number;
  readonly runs: readonly BitsRun[];
}

const names = ['ana', 'ben', 'eva'];
const widths = [16, 8, 4];

/** A coordinator and three agents over TLS, a run after the other. */
export async function measureBits({
  quick,
  report,
}: {
  quick: boolean;
  report: (line: string) => void;
}): Promise<BitsBench> {
  const rounds = quick ? 2 : 8;
  const federation = await openFederation();
  try {
    const norms: number[] = [];
    for (const name of names) {
      await federation.startNode(name, await federation.join(name, sentences(name, 200)), {
        policy: { smallestCohort: names.length, greatestRank: 32, metrics: ['held-out-loss'], leastHeldOut: 1 },
        onEvent: (event) => void (event.event === 'trained' && norms.push(event.normL2)),
      });
    }
    report(`the updates' norms, in a run of 16 bits at the clip norm that policies allow`);
    await runOnce(federation, { rounds: 2, quantizationBits: 16, clipNormL2: 10 });
    const clipNormL2 = Math.max(...norms);
    const runs: BitsRun[] = [];
    for (const quantizationBits of widths) {
      const run = await runOnce(federation, { rounds, quantizationBits, clipNormL2 });
      runs.push(describe(run, quantizationBits));
      report(`${quantizationBits} bits: held-out loss ${run.finalHeldOutLoss?.toFixed(4)}`);
    }
    return { nodes: names.length, rounds, clipNormL2, runs };
  } finally {
    await federation.close();
  }
}

async function runOnce(
  federation: TestFederation,
  { rounds, ...aggregation }: { rounds: number } & RunSpecInput['aggregation'],
): Promise<RunDetailView> {
  const { id } = await federation.createRun({
    // B of 3072 values and A of 4096: whole blocks of the rotation, as a real adapter's are but for a hair.
    adapter: { rank: 32, alpha: 32, targets: ['q_proj', 'v_proj'] },
    training: { steps: 16, batchSize: 4, sequenceLength: 32, learningRate: 0.01 },
    cohort: { minimum: names.length, maximum: names.length },
    aggregation: { weighting: 'uniform', ...aggregation },
    rounds,
  });
  await federation.admin('POST', `/api/runs/${id}/start`);
  const run = await federation.runUntil(id, ({ state }) => state !== 'created' && state !== 'running');
  if (run.state !== 'finished') throw new Error(`the run of ${aggregation.quantizationBits} bits ended ${run.state}`);
  return run;
}

function describe({ spec, roundsDone, finalHeldOutLoss }: RunDetailView, quantizationBits: number): BitsRun {
  const [first] = roundsDone;
  return {
    quantizationBits,
    ringBits: updateEncoding(spec, 1).offered.bits,
    payloadBytes: first!.nodes[0]!.bytesUp,
    lossBefore: first!.heldOutLoss!,
    lossAfter: finalHeldOutLoss!,
  };
}

export const bitsRows = ({ runs }: BitsBench): string[][] => [
  ['bits a value', 'of the ring', 'bytes a node and round', 'held-out loss before', 'after'],
  ...runs.map(({ quantizationBits, ringBits, payloadBytes, lossBefore, lossAfter }) => [
    String(quantizationBits),
    String(ringBits),
    String(payloadBytes),
    lossBefore.toFixed(4),
    lossAfter.toFixed(4),
  ]),
];

/** What each width keeps of what 16 bits learn, and of their bytes. */
export function againstSixteen({ nodes, rounds, clipNormL2, runs }: BitsBench): string {
  const learnt = ({ lossBefore, lossAfter }: BitsRun): number => lossBefore - lossAfter;
  const [full, ...fewer] = runs;
  const lines = fewer.map(
    (run) =>
      `${run.quantizationBits} bits: ${(learnt(run) / learnt(full!)).toFixed(3)} of the loss that 16 bits take off, in ${(run.payloadBytes / full!.payloadBytes).toFixed(3)} of their bytes\n`,
  );
  return `${nodes} nodes, ${rounds} rounds, clip norm ${clipNormL2.toPrecision(3)}\n${lines.join('')}`;
}
