import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { joinFederation, type NodeEvent } from '@weft/node-agent';
import type { InviteView } from '@weft/shared';
import { encodeRecords, openModel, readRecords } from '@weft/trainer';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openFederation, sentences, type TestFederation } from './federation.ts';
import { findLeaks, type Leak, type Secrets } from './find-leaks.ts';

let federation: TestFederation;
beforeEach(async () => {
  federation = await openFederation();
});
afterEach(() => federation.close());

const scripts = [
  'Der Fluß führte 1872 zum dritten Mal Hochwasser.',
  'Сегодня в архиве нашли ещё одно письмо от неё.',
  '川のほとりで祖母が話してくれた長い長い物語です。',
  'نامه‌ای که هرگز به دست او نرسید هنوز آنجاست.',
];

/** Text, prompts and token ids in three files of a folder, and all that must not leave of them. */
async function writeSecrets(folder: string): Promise<{ folder: string; secrets: Secrets }> {
  const data = join(folder, 'amina-private');
  await mkdir(data);
  const diary = `${scripts.join('\n')}\n${sentences('grandmother', 150)}`;
  const letters = Array.from({ length: 40 }, (_, i) =>
    JSON.stringify({
      prompt: `Who wrote letter ${i} from the harbour?`,
      completion: ` It was cousin number ${i * 17} of the miller.`,
    }),
  ).join('\n');
  const ids = Array.from({ length: 20 }, (_, row) =>
    JSON.stringify({ input_ids: Array.from({ length: 24 }, (_, i) => (row * 37 + i * i * 13) % 320) }),
  ).join('\n');
  const files = { 'diary-of-1872.txt': diary, 'family-letters.jsonl': letters, 'already-tokens.jsonl': ids };
  for (const [name, text] of Object.entries(files)) await writeFile(join(data, name), text);
  const { tokenizer, config } = await openModel(federation.modelPath);
  const { examples } = encodeRecords(await readRecords([data]), tokenizer, {
    sequenceLength: 32,
    vocabSize: config.vocabSize,
  });
  return {
    folder: data,
    secrets: {
      texts: Object.values(files),
      tokenIds: examples.map(({ inputIds }) => [...inputIds]),
      names: ['amina-private', ...Object.keys(files), data],
    },
  };
}

const invite = async (): Promise<string> =>
  (await federation.admin<InviteView>('POST', '/api/invites', { autoApprove: true })).invite;

const asBytes = (events: readonly NodeEvent[]): Uint8Array[] =>
  events.map((event) => Buffer.from(JSON.stringify(event)));

test('the search finds each kind of leak that is planted, and nothing where nothing is', async () => {
  const { secrets } = await writeSecrets(federation.folder);
  const row = secrets.tokenIds[3]!.slice(4, 12);
  const planted: [Leak, Buffer][] = [
    ['text', Buffer.from(`xx${scripts[1]!.slice(10, 30)}yy`)],
    ['token ids as varints', Buffer.from(row.flatMap((id) => (id < 128 ? [id] : [(id % 128) | 128, id >> 7])))],
    ['token ids as 32-bit integers', Buffer.from(Int32Array.from(row).buffer)],
    ['token ids as 64-bit integers', Buffer.from(BigInt64Array.from(row, BigInt).buffer)],
    ['token ids as JSON', Buffer.from(JSON.stringify({ ids: row }))],
    ['name', Buffer.from('/home/x/diary-of-1872.txt: no such file')],
  ];
  for (const [leak, bytes] of planted) expect([...findLeaks([Buffer.from('before'), bytes], secrets)]).toEqual([leak]);
  expect(findLeaks([Buffer.from(scripts[1]!.slice(10, 29)), Buffer.from(row.slice(1).join(','))], secrets).size).toBe(
    0,
  );
});

test('the tap sees what a node says: a piece of its data in its own name is found', async () => {
  const { secrets } = await writeSecrets(federation.folder);
  const sent: Uint8Array[] = [];
  await joinFederation({
    home: join(federation.folder, 'leaky'),
    invite: await invite(),
    nodeName: scripts[0]!.slice(4, 24),
    onSend: (bytes) => sent.push(bytes),
  });
  expect([...findLeaks(sent, secrets)]).toEqual(['text']);
});

test('through a whole run nothing of the data, its token ids or its names is in any message, event or record', async () => {
  const { folder, secrets } = await writeSecrets(federation.folder);
  const home = join(federation.folder, 'amina');
  const sent: Uint8Array[] = [];
  const onSend = (bytes: Uint8Array): void => void sent.push(bytes);
  await joinFederation({ home, invite: await invite(), nodeName: 'amina', onSend });
  const amina = await federation.startNode('amina', { home, dataPath: folder }, { onSend, untilRunEnds: true });
  const bruno = await federation.startNode('bruno', await federation.join('bruno', sentences('bruno', 200)), {
    untilRunEnds: true,
  });
  const { id } = await federation.createRun();
  await federation.admin('POST', `/api/runs/${id}/start`);
  const [summary] = await Promise.all([amina.agent.finished, bruno.agent.finished]);
  expect(summary.updates).toBe(2);
  expect(sent.reduce((sum, { length }) => sum + length, 0)).toBe(summary.bytesUp + sent[0]!.length + sent[1]!.length);
  const record = await readFile(join(home, 'sent.jsonl'));
  expect([...findLeaks([...sent, ...asBytes(amina.events), record], secrets)]).toEqual([]);
});

test('a node that fails over its data says so by a code alone', async () => {
  const { folder, secrets } = await writeSecrets(federation.folder);
  const broken = JSON.stringify({ input_ids: [5, 6, 7, 400, 401, 402, 403, 404, 405, 406] });
  await writeFile(join(folder, 'too-large-ids.jsonl'), broken);
  const sent: Uint8Array[] = [];
  const home = join(federation.folder, 'amina');
  await joinFederation({ home, invite: await invite(), nodeName: 'amina' });
  const amina = await federation.startNode(
    'amina',
    { home, dataPath: folder },
    { onSend: (bytes) => void sent.push(bytes) },
  );
  const { id } = await federation.createRun({ cohort: { minimum: 1, maximum: 1 } });
  await federation.admin('POST', `/api/runs/${id}/start`);
  const declined = await amina.event('declined');
  expect(declined.code).toBe('WEFT_DATA_ID_OUT_OF_RANGE');
  await amina.agent.stop();
  const all = { ...secrets, texts: [...secrets.texts, broken], names: [...secrets.names, 'too-large-ids.jsonl'] };
  expect(sent.some((bytes) => Buffer.from(bytes).includes('WEFT_DATA_ID_OUT_OF_RANGE'))).toBe(true);
  expect([...findLeaks([...sent, ...asBytes(amina.events)], all)]).toEqual([]);
});
