import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isWeftError } from './errors/weft-error.ts';
import { sha256 } from './hash.ts';
import { createIdentity } from './identity.ts';
import { parseModelStatement, signModel } from './model-statement.ts';

const { identity } = createIdentity(new Uint8Array(32).fill(7));
const model = sha256('model');
const statement = signModel(identity, model);

describe("a publisher's statement about a base model", () => {
  it('says which model and by whom', () => {
    const publisher = Buffer.from(identity.publicKey).toString('hex');
    expect(parseModelStatement(`${statement}\n`)).toEqual({ sha256: model, publisher });
  });

  it('holds for no other model, no other key and no changed letter', () => {
    const prefix = statement.indexOf('_') + 1;
    fc.assert(
      fc.property(fc.nat(128 - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const bytes = Buffer.from(statement.slice(prefix), 'base64url');
        bytes[at]! ^= change;
        expect(() => parseModelStatement(statement.slice(0, prefix) + bytes.toString('base64url'))).toThrow(
          'signature does not hold',
        );
      }),
    );
  });

  it('is not mistaken for an organisation’s word for a node, nor any text for either', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.base64String(),
          fc.nat(statement.length).map((n) => statement.slice(0, n)),
        ),
        (text) => {
          if (text.trim() === statement) return;
          try {
            parseModelStatement(text);
            expect.unreachable();
          } catch (error) {
            expect(isWeftError(error, 'WEFT_MODEL_STATEMENT_INVALID')).toBe(true);
          }
        },
      ),
    );
  });
});
