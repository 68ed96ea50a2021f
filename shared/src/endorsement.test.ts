import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { endorse, endorsementText, endorsingOrganisation, parseEndorsement } from './endorsement.ts';
import { isWeftError } from './errors/weft-error.ts';
import { createIdentity } from './identity.ts';

const organisation = createIdentity().identity;
const node = createIdentity().identity;
const endorsement = endorse(organisation, 'f_1', node.publicKey);
const key = Buffer.from(organisation.publicKey).toString('hex');

describe("an organisation's word for a node", () => {
  it('holds for this node in this federation, through its text, and for no other', () => {
    const read = parseEndorsement(` ${endorsementText(endorsement)}\n`);
    expect(endorsingOrganisation(read, 'f_1', node.publicKey)).toBe(key);
    expect(endorsingOrganisation(read, 'f_2', node.publicKey)).toBeUndefined();
    expect(endorsingOrganisation(read, 'f_1', createIdentity().identity.publicKey)).toBeUndefined();
  });

  it('does not survive a flipped bit', () => {
    for (let at = 0; at < endorsement.length; at++) {
      const flipped = endorsement.with(at, endorsement[at]! ^ 4);
      expect(endorsingOrganisation(flipped, 'f_1', node.publicKey)).toBeUndefined();
    }
  });

  it('is refused with an error of the catalogue where the text is another', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.base64String().map((text) => `weftorg1_${text}`),
        ),
        (text) => {
          try {
            parseEndorsement(text);
          } catch (error) {
            expect(isWeftError(error, 'WEFT_ENDORSEMENT_INVALID')).toBe(true);
          }
        },
      ),
    );
  });
});
