export { maxBundleBytes, parseBundle, signFiles, type ModelBundle } from './bundle.ts';
export { ignoredPaths, maxFiles, signatureName, type ModelFile } from './statement.ts';
export { verifyModel } from './verify-model.ts';
