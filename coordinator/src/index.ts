export { startCoordinator, type CoordinatorOptions, type RunningCoordinator } from './start-coordinator.ts';
export { initCoordinator, type InitOptions, type InitResult } from './home/home.ts';
export { coordinatorConfigSchema, type CoordinatorConfig } from './config/coordinator-config.ts';
export { findRunning, type RunningProcess } from './home/running.ts';
