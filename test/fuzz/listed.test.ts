import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { targets } from './targets.ts';
import { messages } from './wire.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What reads bytes, text or JSON of somebody else, by the target that feeds it. */
const fuzzedBy: Readonly<Record<string, string>> = {
  decodeBody: 'secagg body roster',
  openSigned: 'secagg node, each message in each state',
  openSealed: 'secagg node, each message in each state',
  openShares: 'secagg node, each message in each state',
  readReceipt: 'secagg receipt, in each state that awaits one',
  parseNote: 'log: signed note',
  parseVerifierKey: 'log: verifier key',
  parseCheckpoint: 'log: checkpoint',
  parseWitnesses: 'log: list of witnesses',
  parseProof: 'log: proof',
  decodeLeaf: 'log: leaf',
  decodeBundle: 'log: bundle of entries',
  parseManifest: 'log: manifest of a published round',
  fromLogProof: 'log: what a node is shown',
  readShownHead: 'log: what a node is shown',
  readShownRound: 'log: what a node is shown',
  readShownAdapter: 'log: what a node is shown',
  readWitnessKey: 'log: what a node says of it',
  parseBundle: 'model signature: bundle',
  parseStatement: 'model signature: statement',
  parseJson: 'model signature: statement',
  parseModelStatement: "a publisher's word for a model",
  parsePolicy: 'policy file',
  parseLedger: 'privacy ledger',
  parseJournal: 'session journal',
  parseEndorsement: 'endorsement',
  readEndorsement: "an organisation's word for a node",
  parseInvite: 'invite',
  parseBody: 'wire: NodeMessage',
  openEnvelope: 'signed envelope',
  openOffer: 'round offer',
  openCertificateRenewal: 'certificate renewal',
  parseRunSpec: 'run spec, a value in it replaced',
  fromRefusal: 'refusal, and the trailers of a call',
  fromGrpcStatus: 'refusal, and the trailers of a call',
  fromBase64: 'log: signed note',
};
/** What has such a name, and reads nothing that a stranger wrote. */
const notOfStrangers: Readonly<Record<string, string>> = {
  openCut: 'the state of the coordinator’s own machine',
  openShards: 'the state of the coordinator’s own machine',
  fromServiceError: 'what grpc-js throws; the other side’s words in it are read by fromGrpcStatus',
  decodeSum: 'ring words, of which any value is one',
  fromRing: 'ring words, of which any value is one',
  decodeRange: 'packed words; their number is checked before, see the target of packed ring words',
  parsePasswordHash: 'a row that the coordinator wrote',
  parseCertificate: 'the operator’s own certificate',
};

/** By the house's names: what is pure in shared, and what parses in the packages that stand on the network. */
const places: readonly (readonly [string, RegExp])[] = [
  ['shared/src', /^export (?:async )?(?:function\*? |const )((?:parse|decode|read|open|from)[A-Z]\w*)/gm],
  [
    '{node-agent,coordinator}/src',
    /^export (?:async )?(?:function\*? |const )((?:parse|decode|from)[A-Z]\w*|openOffer)/gm,
  ],
];
const decoders = places.flatMap(([folder, names]) =>
  globSync(`${folder}/**/*.ts`, { cwd: root, exclude: ['**/*.test.ts'] }).flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(names)].map(([, name]) => name!),
  ),
);

test('whatever decodes what strangers wrote is fuzzed', () => {
  const known = [...Object.keys(fuzzedBy), ...Object.keys(notOfStrangers)];
  expect([...new Set(decoders)].toSorted()).toEqual(known.toSorted());
  const names = targets.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const name of Object.values(fuzzedBy)) expect(names).toContain(name);
});

test('so is every message of the protocol, each field of it filled in', () => {
  const inProtocol = globSync('proto/weft/v1/*.proto', { cwd: root }).flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/^ *message (\w+)/gm)].map(([, name]) => name!),
  );
  expect(messages.map(({ name }) => name).toSorted()).toEqual(inProtocol.toSorted());
});
