import { isSha256, type RunId, type Sha256 } from '@weft/shared';
import { describe, expect, it } from 'vitest';
import type { StoredEvent } from '../store/events.ts';
import { toEventView } from './event-streams.ts';

const sha256 = (digit: string): Sha256 => {
  const text = digit.repeat(64);
  if (!isSha256(text)) throw new Error(text);
  return text;
};

describe('toEventView', () => {
  it('names a model and not where its files lie', () => {
    const file = '/srv/models/secret-place/model.safetensors';
    const view = toEventView({
      seq: 1,
      at: 0,
      kind: 'model.registered',
      data: {
        name: 'small',
        sha256: sha256('a'),
        path: '/srv/models/secret-place',
        files: [{ name: 'model.safetensors', file, sizeBytes: 1, sha256: sha256('b') }],
        dimensions: { layers: 1, hiddenSize: 1, intermediateSize: 1, heads: 1, kvHeads: 1, headDim: 1 },
      },
    });
    expect(JSON.stringify(view)).not.toContain('secret-place');
    expect(view.data).toMatchObject({ name: 'small', sha256: sha256('a') });
  });

  it('says what a session moved by, and nothing of what was signed in it', () => {
    const [body, signature, offer] = ['body', 'signature', 'offer'].map((what) => Buffer.from(what).toString('base64'));
    const of = { seq: 1, at: 0, runId: `r_${'1'.repeat(32)}` as RunId, round: 2 };
    const moved: StoredEvent<'secagg.moved'> = {
      ...of,
      kind: 'secagg.moved',
      data: { kind: 'cutAck', body: body!, signature: signature! },
    };
    expect(toEventView(moved).data).toEqual({ kind: 'cutAck' });
    const opened: StoredEvent<'secagg.opened'> = { ...of, kind: 'secagg.opened', data: { offer: offer!, members: [] } };
    expect(toEventView(opened).data).toEqual({ members: [] });
  });
});
