import { createHash } from 'node:crypto';
import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { InviteSchema, type Invite } from '@weft/proto';
import { WeftError } from './errors/weft-error.ts';

export const protocolVersion = 1;

const prefix = 'weft1_';
const checksumBytes = 4;
/** A certificate is about 300 bytes; a pasted novel is no invite. */
const maxCharacters = 8192;
export const inviteTokenBytes = 32;

/** `weft1_` and base64url(protobuf ‖ first four bytes of its SHA-256): a letter lost in pasting is noticed. */
export function formatInvite(invite: MessageInitShape<typeof InviteSchema>): string {
  const bytes = toBinary(InviteSchema, create(InviteSchema, invite));
  return prefix + Buffer.concat([bytes, checksum(bytes)]).toString('base64url');
}

/** @throws WEFT_INVITE_MALFORMED, WEFT_PROTOCOL_VERSION; neither repeats the token */
export function parseInvite(text: string): Invite {
  const trimmed = text.trim();
  if (!trimmed.startsWith(prefix)) throw malformed(`an invite begins with ${prefix}`);
  if (trimmed.length > maxCharacters) throw malformed(`${trimmed.length} characters, the limit is ${maxCharacters}`);
  if (!/^[\w-]+$/.test(trimmed)) throw malformed('it holds a character that no invite has');
  const bytes = Buffer.from(trimmed.slice(prefix.length), 'base64url');
  const body = bytes.subarray(0, -checksumBytes);
  if (body.length === 0 || !checksum(body).equals(bytes.subarray(-checksumBytes))) {
    throw malformed('its checksum does not match: a part is missing or was changed');
  }
  const invite = decode(body);
  if (invite.protocolVersion !== protocolVersion) {
    throw new WeftError(
      'WEFT_PROTOCOL_VERSION',
      `the invite is for protocol ${invite.protocolVersion}, this is ${protocolVersion}`,
    );
  }
  if (invite.coordinatorKey.length !== 32 || invite.token.length < 16 || invite.certificateDer.length === 0) {
    throw malformed('a key, a token or a certificate is missing');
  }
  if (!/^[^\s/]+:\d{1,5}$/.test(invite.address)) throw malformed('its address is not HOST:PORT');
  return invite;
}

const malformed = (what: string): WeftError =>
  new WeftError('WEFT_INVITE_MALFORMED', `this is not a whole invite: ${what}`);

const checksum = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest().subarray(0, checksumBytes);

function decode(body: Uint8Array): Invite {
  try {
    return fromBinary(InviteSchema, body, { readUnknownFields: false });
  } catch (cause) {
    throw new WeftError('WEFT_INVITE_MALFORMED', 'this is not a whole invite: it does not parse', {}, { cause });
  }
}
