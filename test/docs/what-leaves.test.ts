import { readFileSync } from 'node:fs';
import type { DescMessage } from '@bufbuild/protobuf';
import { EnrollBodySchema, NodeMessageSchema, NodeService, UpdateSchema } from '@weft/proto';
import { metrics } from '@weft/node-agent';
import { expect, it } from 'vitest';

const page = readFileSync(new URL('../../docs/what-leaves-a-node.md', import.meta.url), 'utf8');

/** Every field of a message and of the messages inside it, `Update.weight`. */
function fieldsOf(message: DescMessage, seen = new Set<string>()): string[] {
  if (seen.has(message.typeName)) return [];
  seen.add(message.typeName);
  return message.fields.flatMap((field) => [
    `${message.name}.${field.name}`,
    ...(field.fieldKind !== 'map' && field.message ? fieldsOf(field.message, seen) : []),
  ]);
}

// what a node serialises: the requests of the service, and the bodies inside their envelopes
const sent = [...NodeService.methods.map(({ input }) => input), EnrollBodySchema, NodeMessageSchema, UpdateSchema];
const fields = new Set(sent.flatMap((message) => fieldsOf(message)));
const told = new Set(Array.from(page.matchAll(/`(\p{Lu}\w+\.\w+)`/gu), ([, name]) => name));

it('names every field that a node can send', () => {
  expect([...fields].filter((field) => !told.has(field))).toEqual([]);
});

it('names every figure that the policy can hold back, with its fields', () => {
  const rows = Array.from(page.matchAll(/^\| `([a-z-]+)` \| (.+?) \| .+ \|$/gm), ([, name, held]) => [name, held]);
  const due = Object.entries(metrics).map(([name, held]) => [name, held.replaceAll(/[\w.]+/g, '`$&`')]);
  expect(rows).toEqual(due);
});

it('names no field that is not there', () => {
  expect([...told].filter((field) => !fields.has(field ?? ''))).toEqual([]);
});
