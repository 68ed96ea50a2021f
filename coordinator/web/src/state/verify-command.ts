/** What anyone types to check the log, whole or for one run and its adapter. Single quotes: a key has characters that shells know. */
export const verifyCommand = (
  origin: string,
  { key, runId, adapterSha256 }: { key?: string; runId?: string; adapterSha256?: string | null },
): string =>
  [
    `weft log verify ${origin}`,
    ...(key === undefined ? [] : [`--key '${key}'`]),
    ...(runId === undefined ? [] : [`--run ${runId}`]),
    ...(adapterSha256 ? [`--adapter ${adapterSha256}`] : []),
  ].join(' ');
