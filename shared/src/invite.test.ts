import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isWeftError } from './errors/weft-error.ts';
import { formatInvite, inviteTokenBytes, parseInvite, protocolVersion } from './invite.ts';

const invite = {
  protocolVersion,
  address: 'coordinator.example.org:7443',
  certificateDer: randomBytes(300),
  coordinatorKey: randomBytes(32),
  token: randomBytes(inviteTokenBytes),
  federationName: 'languages',
};

describe('invite', () => {
  it('comes back whole, with white space around it', () => {
    const parsed = parseInvite(`\n ${formatInvite(invite)} \n`);
    expect(parsed.address).toBe(invite.address);
    expect(Buffer.from(parsed.token)).toEqual(invite.token);
  });

  it('notices every lost or changed letter', () => {
    const text = formatInvite(invite);
    for (let at = 6; at < text.length; at += 5) {
      const changed = text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
      expect(() => parseInvite(text.slice(0, at) + text.slice(at + 1))).toThrow();
      expect(() => parseInvite(changed)).toThrow();
    }
  });

  it('refuses a short token, a missing key and a later protocol', () => {
    expect(() => parseInvite(formatInvite({ ...invite, token: randomBytes(15) }))).toThrow(/token/);
    expect(() => parseInvite(formatInvite({ ...invite, coordinatorKey: randomBytes(31) }))).toThrow(/key/);
    expect(() => parseInvite(formatInvite({ ...invite, protocolVersion: 2 }))).toThrow(/protocol 2, this is 1/);
  });

  it('answers any text with an invite or a catalogued error that does not repeat it', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.base64String().map((text) => `weft1_${text}`),
        ),
        (text) => {
          try {
            parseInvite(text);
          } catch (error) {
            expect(isWeftError(error)).toBe(true);
          }
        },
      ),
    );
  });
});
