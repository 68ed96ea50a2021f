import type { ErrorEntry } from './entry.ts';
import { adapterErrors } from './adapter.ts';
import { coordinatorErrors } from './coordinator.ts';
import { dataErrors } from './data.ts';
import { generalErrors } from './general.ts';
import { hubErrors } from './hub.ts';
import { logErrors } from './log.ts';
import { modelErrors } from './model.ts';
import { nodeErrors } from './node.ts';
import { policyErrors } from './policy.ts';
import { privacyErrors } from './privacy.ts';
import { protocolErrors } from './protocol.ts';
import { secaggErrors } from './secagg.ts';
import { trainingErrors } from './training.ts';

const entries = {
  ...generalErrors,
  ...modelErrors,
  ...hubErrors,
  ...dataErrors,
  ...adapterErrors,
  ...trainingErrors,
  ...protocolErrors,
  ...coordinatorErrors,
  ...nodeErrors,
  ...policyErrors,
  ...secaggErrors,
  ...logErrors,
  ...privacyErrors,
};

export type ErrorCode = keyof typeof entries;

/** Every error that a user can meet: code → gRPC status, HTTP status, exit code, what to do, whether a retry helps. */
export const catalogue: Readonly<Record<ErrorCode, ErrorEntry>> = entries;
