/** Said wherever a node is about to send, until secure aggregation is there. */
export const plainModeNotice =
  "This federation aggregates in plain mode: the coordinator can read each node's delta. Raw data never leaves a node.";
