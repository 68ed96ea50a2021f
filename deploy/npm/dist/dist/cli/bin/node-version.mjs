/** The oldest Node whose type stripping, worker threads and native modules Weft is tested on. */
const minimumNodeMajor = 24;

/**
 * What to tell somebody whose Node is too old, or undefined where it is not.
 * @param {string} version as in `process.versions.node`
 * @returns {string | undefined}
 */
export const nodeComplaint = (version) =>
  Number(version.split('.')[0]) >= minimumNodeMajor
    ? undefined
    : `this is Node ${version}, and Weft needs Node ${minimumNodeMajor} or newer [WEFT_RUNTIME_UNSUPPORTED]\n` +
      'in a checkout run `npx -y pnpm@12.21.0 -s weft`, elsewhere `npx -y -p node@24 -p weft weft`: both bring the right Node along';
