/** Graphs have static shapes; a few lengths keep short batches from paying for long ones. */
const multiple = 32;
const quarters = 4;

/** Quarters of the longest length, each rounded up to a multiple of 32; the longest stays as it is. */
export function sequenceBuckets(longest        )           {
  const lengths = Array.from({ length: quarters }, (_, quarter) =>
    Math.min(longest, Math.ceil(((quarter + 1) * longest) / quarters / multiple) * multiple),
  );
  return [...new Set(lengths)];
}

/** The shortest bucket that holds `length` tokens. */
export const bucketFor = (length        , longest        )         =>
  sequenceBuckets(longest).find((bucket) => bucket >= length) ?? longest;
