import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WeftError, type RunSpec } from '@weft/shared';
import { z } from 'zod';
import { writePrivateFile } from '../home/private-file.ts';
import type { Policy } from '../policy/policy.ts';
import { refuse } from '../policy/refuse.ts';
import type { PolicyRefusal } from '../policy/spec-rules.ts';

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const answeredSchema = z.strictObject({
  /** Those that left, or were about to; the hash is of the update before masks. */
  updates: z.array(z.strictObject({ round: z.number().int().min(0), payloadSha256: hash })),
  /** The loss of each adapter that was scored; so much of it has left. */
  scores: z.array(z.strictObject({ adapterSha256: hash, lossSum: z.number(), tokens: z.number().int() })).default([]),
});
type Answered = z.infer<typeof answeredSchema>;

export interface Score {
  readonly lossSum: number;
  readonly tokens: number;
}

export interface RoundOfRun {
  readonly runId: string;
  readonly round: number;
  readonly spec: RunSpec;
}

/** How often this node answered each run: it counts for itself, whatever number the coordinator gives a round. */
export interface AnsweredRounds {
  /** At an offer: another round than those that were answered is refused once there were enough. */
  refusal(round: RoundOfRun): Promise<PolicyRefusal | undefined>;
  /**
   * Before the update leaves: durable when this resolves. The same one again counts once.
   * @throws WEFT_POLICY_REFUSED
   */
  note(round: RoundOfRun & { readonly payloadSha256: string }): Promise<void>;
  /**
   * The score of an adapter: measured once in a run and durable when this resolves, the same numbers ever after.
   * @throws WEFT_POLICY_REFUSED where the run has had enough of them
   */
  score(round: RoundOfRun, adapterSha256: string, measure: () => Promise<Score>): Promise<Score>;
}

/** Of a run of one or two rounds, too, some tries may fail. */
const fewestRetries = 3;

/**
 * An update that left counts whatever came of its round, since the node cannot know that nobody opened the sum. So a run
 * gets more than its rounds: as many again for those that are tried once more, or trained anew after a roll-back.
 */
export function mostUpdates({ rounds }: Pick<RunSpec, 'rounds'>, { mostRounds }: Pick<Policy, 'mostRounds'>): number {
  const agreed = Math.min(rounds, mostRounds);
  return agreed + Math.max(agreed, fewestRetries);
}

/** One file a run in the home's folder `answered`. */
export function createAnsweredRounds(home: string, policy: Pick<Policy, 'mostRounds'>): AnsweredRounds {
  const folder = join(home, 'answered');
  const fileOf = (runId: string): string => join(folder, `${runId}.json`);
  // read, change, write: one after the other
  let line: Promise<unknown> = Promise.resolve();
  const exclusively = <T>(work: () => Promise<T>): Promise<T> => {
    const done = line.then(work);
    line = done.catch(() => {});
    return done;
  };
  const read = async (runId: string): Promise<Answered> => {
    try {
      return answeredSchema.parse(JSON.parse(await readFile(fileOf(runId), 'utf8')));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return { updates: [], scores: [] };
      throw new WeftError('WEFT_NODE_HOME_DAMAGED', `${fileOf(runId)} is damaged`, {}, { cause });
    }
  };
  const write = async (runId: string, answered: Answered): Promise<void> => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writePrivateFile(fileOf(runId), JSON.stringify(answered));
  };
  const refusalOf = (others: number, { round, spec }: RoundOfRun): PolicyRefusal | undefined => {
    const most = mostUpdates(spec, policy);
    if (others < most) return undefined;
    return {
      rule: 'mostRounds',
      why: `${others} updates have left for this run of ${spec.rounds} rounds, and round ${round + 1} would be one more; ${most} may, with all that is tried again`,
    };
  };
  return {
    refusal: (asked) =>
      exclusively(async () => {
        const { updates } = await read(asked.runId);
        return refusalOf(updates.filter(({ round }) => round !== asked.round).length, asked);
      }),
    note: ({ payloadSha256, ...asked }) =>
      exclusively(async () => {
        const answered = await read(asked.runId);
        const { updates } = answered;
        if (updates.some((update) => update.payloadSha256 === payloadSha256)) return;
        refuse(refusalOf(updates.length, asked));
        await write(asked.runId, { ...answered, updates: [...updates, { round: asked.round, payloadSha256 }] });
      }),
    async score({ runId, spec }, adapterSha256, measure) {
      const { scores } = await exclusively(() => read(runId));
      const known = scores.find((score) => score.adapterSha256 === adapterSha256);
      if (known !== undefined) return known;
      // the first adapter, and one for each update
      const most = mostUpdates(spec, policy) + 1;
      if (scores.length >= most)
        refuse({ rule: 'mostRounds', why: `${scores.length} adapters of this run were scored, ${most} may be` });
      const { lossSum, tokens } = await measure();
      await exclusively(async () => {
        const answered = await read(runId);
        await write(runId, { ...answered, scores: [...answered.scores, { adapterSha256, lossSum, tokens }] });
      });
      return { lossSum, tokens };
    },
  };
}
