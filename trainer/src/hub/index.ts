export { hubAccess, type HubAccess } from './access.ts';
export { type Pull, pullModel, type PullEvent, type PullOptions } from './pull.ts';
export { formatReference, type HubReference, isHubReference, parseReference } from './reference.ts';
export { findPulled, listPulled, type PulledModel } from './snapshot.ts';
