                                             
import { adapterErrors } from './adapter.js';
import { coordinatorErrors } from './coordinator.js';
import { dataErrors } from './data.js';
import { generalErrors } from './general.js';
import { modelErrors } from './model.js';
import { nodeErrors } from './node.js';
import { protocolErrors } from './protocol.js';
import { trainingErrors } from './training.js';

const entries = {
  ...generalErrors,
  ...modelErrors,
  ...dataErrors,
  ...adapterErrors,
  ...trainingErrors,
  ...protocolErrors,
  ...coordinatorErrors,
  ...nodeErrors,
};

                                             

/** Every error that a user can meet: code → gRPC status, HTTP status, exit code, what to do, whether a retry helps. */
export const catalogue                                          = entries;
