/** Said wherever a node is about to send. */
export const privacyNotice =
  "In a run with secure aggregation, the default, the coordinator learns the sum of the deltas and no single one; in a run with aggregation.mode plain it can read each node's delta. Raw data never leaves a node.";
