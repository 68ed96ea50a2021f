import process from 'node:process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isWeftError } from '../../src/errors/weft-error.ts';
import { bodies, type BodyName, decodeBody, encodeBody } from '../../src/secagg/bodies.ts';
import { stepNode } from '../../src/secagg/node.ts';
import type { NodeEvent } from '../../src/secagg/node-state.ts';
import { stepServer } from '../../src/secagg/server.ts';
import type { ServerEvent, ServerState } from '../../src/secagg/server-state.ts';
import { Rehearsal, type Wire } from './rehearsal.ts';

/** A few seconds in CI; the nightly form sets WEFT_FUZZ_INPUTS to ten million. */
const inputs = Number(process.env['WEFT_FUZZ_INPUTS'] ?? 40_000);

/** Everything that passes in one honest session, and every state that it passes through. */
function recorded() {
  const passing: { event: NodeEvent | ServerEvent; to: 'node' | 'server' }[] = [];
  const servers: ServerState[] = [];
  const wire: Wire = ({ event, to }, { server }) => {
    passing.push({ event, to });
    servers.push(server);
    return [event];
  };
  const rehearsal = new Rehearsal({ members: 4 }, wire).run();
  return { rehearsal, passing, servers };
}
const { rehearsal, passing, servers } = recorded();
const bodyOf = (event: NodeEvent | ServerEvent): Uint8Array | undefined =>
  'signed' in event ? event.signed.body : 'body' in event ? event.body : undefined;
const recordedBodies = passing.flatMap(({ event }) => {
  const body = bodyOf(event);
  return body && event.kind in bodies ? [{ name: event.kind as BodyName, body }] : [];
});

/** One byte changed, some cut off or added, a stretch repeated or zeroed. */
const damage = fc.record({
  at: fc.nat(),
  how: fc.constantFrom('flip', 'set', 'truncate', 'extend', 'repeat', 'zero'),
  value: fc.integer({ min: 0, max: 255 }),
});
type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never;

function damaged(bytes: Uint8Array, { at, how, value }: Damage): Uint8Array {
  if (bytes.length === 0) return Uint8Array.of(value);
  const place = at % bytes.length;
  switch (how) {
    case 'flip':
      return bytes.with(place, bytes[place]! ^ (1 << (value & 7)));
    case 'set':
      return bytes.with(place, value);
    case 'truncate':
      return bytes.slice(0, place);
    case 'extend':
      return Uint8Array.from([...bytes, value]);
    case 'repeat':
      return Uint8Array.from([...bytes.slice(0, place), ...bytes.slice(Math.max(0, place - value))]);
    case 'zero':
      return bytes.slice().fill(0, place, place + value);
  }
}

describe('bytes of secure aggregation from elsewhere', () => {
  it('are one encoding of a value, or refused with an error of the catalogue', () => {
    const anyBody = fc.constantFrom(...recordedBodies);
    fc.assert(
      fc.property(anyBody, fc.array(damage, { minLength: 1, maxLength: 3 }), ({ name, body }, faults) => {
        const bytes = faults.reduce(damaged, body);
        try {
          expect(encodeBody(name, decodeBody(name, bytes))).toEqual(bytes);
        } catch (error) {
          expect(isWeftError(error, 'WEFT_SECAGG_MALFORMED')).toBe(true);
        }
      }),
      { numRuns: Math.ceil(inputs * 0.5) },
    );
  });

  it('that are random are refused, whichever body they are said to be', () => {
    const names = Object.keys(bodies) as BodyName[];
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.uint8Array({ maxLength: 400 }), (name, bytes) => {
        expect(() => decodeBody(name, bytes)).toThrow();
      }),
      { numRuns: Math.ceil(inputs * 0.45) },
    );
  });

  it('make no node throw, or answer more than the honest message would, in any state', () => {
    const toNodes = passing.filter(({ to }) => to === 'node').map(({ event }) => event as NodeEvent);
    const node = rehearsal.nodes[0]!;
    fc.assert(
      fc.property(
        fc.constantFrom(...node.states),
        fc.constantFrom(...toNodes),
        fc.option(damage),
        (state, event, fault) => {
          const changed = fault ? withBody(event, (body) => damaged(body, fault)) : event;
          const { effects } = stepNode(node.options, state, changed, 0, (length) => new Uint8Array(length));
          const sent = effects.flatMap((effect) => (effect.kind === 'send' ? [effect.name] : []));
          expect(sent.length).toBeLessThanOrEqual(1);
          // An opening leaves a node in two states only, and after the signatures held.
          if (sent[0] === 'opening') expect(['acknowledged', 'opened']).toContain(state.phase);
          if (state.phase === 'ended') expect(effects).toEqual([]);
        },
      ),
      { numRuns: Math.ceil(inputs * 0.025) },
    );
  });

  it('make no coordinator throw in any state', () => {
    const toServer = passing.filter(({ to }) => to === 'server').map(({ event }) => event as ServerEvent);
    fc.assert(
      fc.property(
        fc.constantFrom(...servers),
        fc.constantFrom(...toServer),
        fc.option(damage),
        (state, event, fault) => {
          const changed = fault ? withBody(event, (body) => damaged(body, fault)) : event;
          const { effects } = stepServer(rehearsal.serverOptions, state, changed, 0);
          if (fault && state.phase !== 'keys') expect(effects.some(({ kind }) => kind === 'unmask')).toBe(false);
        },
      ),
      { numRuns: Math.ceil(inputs * 0.025) },
    );
  });
});

function withBody<E extends NodeEvent | ServerEvent>(event: E, change: (body: Uint8Array) => Uint8Array): E {
  if ('signed' in event) return { ...event, signed: { ...event.signed, body: change(event.signed.body) } };
  return 'body' in event ? { ...event, body: change(event.body) } : event;
}
