/** Said wherever a node is about to send. */
export const privacyNotice =
  "In a run with secure aggregation, the default, the coordinator learns the sum of the deltas and no single one; in a run with aggregation.mode plain it can read each node's delta. Raw data never leaves a node.";

/**
 * Against whom secure aggregation protects, as far as organisations vouch for members.
 * @param organisations that signed for members, or whose signatures a node asks for
 */
export function protectionOf(organisations: number): string {
  if (organisations === 0)
    return 'No organisation vouches for members: secure aggregation hides an update from a coordinator that is curious, and not from one that fills a cohort with nodes of its own.';
  if (organisations === 1)
    return "One organisation vouches for all members: secure aggregation hides an update from the coordinator as long as that organisation makes up no members with it, and each sum is that organisation's alone.";
  return `${organisations} organisations vouch for members: secure aggregation hides an update also from a coordinator that makes members up, as long as it makes them with none of these organisations.`;
}
