export { startCoordinator, type CoordinatorOptions, type RunningCoordinator } from './start-coordinator.ts';
export { findRunning, initCoordinator, type InitOptions, type InitResult } from './home/home.ts';
export { coordinatorConfigSchema, type CoordinatorConfig } from './config/coordinator-config.ts';
