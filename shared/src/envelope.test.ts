import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReceiptSchema, UpdateSchema } from '@weft/proto';
import { domains, openEnvelope, sealEnvelope } from './envelope.ts';
import { isWeftError } from './errors/weft-error.ts';
import { createIdentity } from './identity.ts';

const { identity } = createIdentity();
const body = { runId: 'r_1', round: 7, nodeId: 'n_1', weight: 12n };
const sealed = () => sealEnvelope(domains.update, UpdateSchema, body, identity);

describe('envelope', () => {
  it('gives back what was sealed', () => {
    const opened = openEnvelope(domains.update, UpdateSchema, sealed(), identity.publicKey);
    expect(opened).toMatchObject(body);
  });

  it('refuses another domain, another key and no envelope', () => {
    const refused = (run: () => unknown, code: 'WEFT_SIGNATURE_INVALID' | 'WEFT_MESSAGE_MALFORMED') =>
      expect(run).toThrow(expect.toSatisfy((error) => isWeftError(error, code)));
    refused(() => openEnvelope(domains.receipt, ReceiptSchema, sealed(), identity.publicKey), 'WEFT_SIGNATURE_INVALID');
    const stranger = createIdentity().identity.publicKey;
    refused(() => openEnvelope(domains.update, UpdateSchema, sealed(), stranger), 'WEFT_SIGNATURE_INVALID');
    refused(() => openEnvelope(domains.update, UpdateSchema, undefined, identity.publicKey), 'WEFT_MESSAGE_MALFORMED');
  });

  it('refuses every single flipped bit of body, key id and signature', () => {
    const original = sealed();
    for (const field of ['body', 'keyId', 'signature'] as const) {
      for (let bit = 0; bit < original[field].length * 8; bit++) {
        const envelope = { ...original, [field]: Uint8Array.from(original[field]) };
        envelope[field][bit >> 3]! ^= 1 << (bit & 7);
        expect(() => openEnvelope(domains.update, UpdateSchema, envelope, identity.publicKey)).toThrow();
      }
    }
  });

  it('answers any signed bytes with a message or a catalogued error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          openEnvelope(
            domains.update,
            UpdateSchema,
            { ...sealed(), body: bytes, signature: identity.sign(bytes) },
            identity.publicKey,
          );
        } catch (error) {
          expect(isWeftError(error)).toBe(true);
        }
      }),
    );
  });
});
