import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  endorse,
  endorsementText,
  endorsingOrganisation,
  organisationIn,
  parseEndorsement,
  requireEndorsement,
} from './endorsement.ts';
import { isWeftError } from './errors/weft-error.ts';
import { createIdentity } from './identity.ts';

const organisation = createIdentity().identity;
const node = createIdentity().identity;
const endorsement = endorse(organisation, 'f_1', node.publicKey);
const key = Buffer.from(organisation.publicKey).toString('hex');

describe("an organisation's word for a node", () => {
  it('holds for this node in this federation, through its text, and for no other', () => {
    const read = parseEndorsement(` ${endorsementText(endorsement)}\n`);
    expect(endorsingOrganisation(read, 'f_1', node.publicKey, 1)).toBe(key);
    expect(endorsingOrganisation(read, 'f_2', node.publicKey, 1)).toBeUndefined();
    expect(endorsingOrganisation(read, 'f_1', createIdentity().identity.publicKey, 1)).toBeUndefined();
  });

  it('ends, and nobody but its organisation can move the end', () => {
    const ending = endorse(organisation, 'f_1', node.publicKey, 1_000);
    expect(endorsingOrganisation(ending, 'f_1', node.publicKey, 999.9)).toBe(key);
    expect(endorsingOrganisation(ending, 'f_1', node.publicKey, 1_000)).toBeUndefined();
    expect(organisationIn(ending, 999)).toBe(key);
    expect(organisationIn(ending, 1_000)).toBeUndefined();
    expect(() => requireEndorsement(ending, 'f_1', node.publicKey, 1_000)).toThrow('ended on 1970-01-01');
    expect(requireEndorsement(ending, 'f_1', node.publicKey, 0)).toEqual({ organisation: key, until: 1_000 });
    const [whole, later] = [Buffer.from(ending), endorse(organisation, 'f_1', node.publicKey, 2_000)];
    const moved = Buffer.concat([whole.subarray(0, 32), later.subarray(32, 40), whole.subarray(40)]);
    expect(endorsingOrganisation(moved, 'f_1', node.publicKey, 1)).toBeUndefined();
  });

  it('does not survive a flipped bit', () => {
    for (let at = 0; at < endorsement.length; at++) {
      const flipped = endorsement.with(at, endorsement[at]! ^ 4);
      expect(endorsingOrganisation(flipped, 'f_1', node.publicKey, 1)).toBeUndefined();
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
