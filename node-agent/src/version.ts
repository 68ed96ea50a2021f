/** What the coordinator's admin sees of the program that a node runs. */
export const agentVersion = '0.1.0';
