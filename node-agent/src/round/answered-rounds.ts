import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSha256, WeftError, type RunSpec } from '@weft/shared';
import { z } from 'zod';
import { writePrivateFile } from '../home/private-file.ts';
import type { Policy } from '../policy/policy.ts';
import { refusedBy } from '../policy/refuse.ts';
import type { PolicyRefusal } from '../policy/spec-rules.ts';

const answeredSchema = z.strictObject({
  /** Those that left, or were about to; the hash is of the update before masks. */
  updates: z.array(z.strictObject({ round: z.number().int().min(0), payloadSha256: z.string().refine(isSha256) })),
});
type Answered = z.infer<typeof answeredSchema>;

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
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return { updates: [] };
      throw new WeftError('WEFT_NODE_HOME_DAMAGED', `${fileOf(runId)} is damaged`, {}, { cause });
    }
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
        const { updates } = await read(asked.runId);
        if (updates.some((update) => update.payloadSha256 === payloadSha256)) return;
        const refusal = refusalOf(updates.length, asked);
        if (refusal !== undefined) throw refusedBy([refusal]);
        await mkdir(folder, { recursive: true, mode: 0o700 });
        const answered = { updates: [...updates, { round: asked.round, payloadSha256 }] };
        await writePrivateFile(fileOf(asked.runId), JSON.stringify(answered));
      }),
  };
}
