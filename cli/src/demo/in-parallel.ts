/** Runs jobs with at most `limit` at a time; the results stand in the order of the jobs. The first failure wins. */
export async function inParallel<Job, Result>(
  jobs: readonly Job[],
  limit: number,
  run: (job: Job, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < jobs.length; index = next++) results[index] = await run(jobs[index]!, index);
  };
  await Promise.all(Array.from({ length: Math.min(limit, jobs.length) }, worker));
  return results;
}
