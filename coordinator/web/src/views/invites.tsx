import { useId, useState } from 'preact/hooks';
import type { InviteRequest, InviteView } from '@weft/shared';
import { formatTime } from '../format.ts';
import { request } from '../state/request.ts';
import { announcement } from '../state/store.ts';
import { useAction } from './action.ts';
import { CopyButton } from './copy-button.tsx';
import { ProblemNote } from './problem.tsx';

export function Invites() {
  const action = useAction();
  const [invite, setInvite] = useState<InviteView | undefined>(undefined);
  const id = useId();
  const create = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    await action.run(async () => {
      const wanted: InviteRequest = {
        autoApprove: fields.has('autoApprove'),
        expiresInHours: Number(fields.get('hours')),
      };
      setInvite(await request<InviteView>('POST', '/api/invites', wanted));
      announcement.value = 'The invite is there.';
    });
  };
  return (
    <section class="card" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>Invite a node</h2>
      <p>
        An invite admits one node. It carries this coordinator's address, certificate and key, so hand it over in
        private.
      </p>
      <form class="row" onSubmit={(event) => void create(event)}>
        <div class="field">
          <label for={`${id}-hours`}>Valid for (hours)</label>
          <input id={`${id}-hours`} name="hours" type="number" min="1" max="8760" step="1" defaultValue="24" required />
        </div>
        <label class="check">
          <input type="checkbox" name="autoApprove" />
          Approve the node without asking me
        </label>
        <button type="submit" class="primary" aria-disabled={action.running}>
          Create invite
        </button>
      </form>
      <ProblemNote problem={action.problem} />
      {invite !== undefined && (
        <div class="invite">
          <label for={`${id}-invite`}>The invite, shown this once</label>
          <textarea id={`${id}-invite`} class="code" readOnly rows={6} value={invite.invite} />
          <div class="buttons">
            <CopyButton text={invite.invite} what="invite" />
            <CopyButton text={`weft node join ${invite.invite}`} what="join command" />
          </div>
          <p class="faint">
            Valid until {formatTime(invite.expiresAt)}; the node{' '}
            {invite.autoApprove ? 'is approved at once' : 'then waits for your approval'}.
          </p>
        </div>
      )}
    </section>
  );
}
