import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { createIdentity, organisationFingerprint, type RunDetailView } from '@weft/shared';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { skips } from '../conformance/python.ts';
import { runWeft } from '../run-weft.ts';
import { collectComplaints, findBarriers, findChromium, openBrowser, takePicture } from './chromium.ts';
import { startFederation, type Federation } from './federation.ts';

const chromium = findChromium();
/** Two cores train and draw at once. */
const timeoutMs = 180_000;
const patience = { timeout: 30_000 };

describe.skipIf(skips('browser', { Chromium: chromium }))('the admin page in Chromium', () => {
  let federation: Federation;
  let browser: Browser;
  let cookies: Awaited<ReturnType<BrowserContext['storageState']>>;
  const contexts: BrowserContext[] = [];
  let complaints: string[] = [];
  const [library, archive] = [createIdentity().identity, createIdentity().identity];

  /** A tab of its own; with the cookies of the one that logged in, unless it is to be a stranger. */
  const openTab = async (options: BrowserContextOptions = {}, stranger = false): Promise<Page> => {
    const context = await browser.newContext({ ...options, ...(!stranger && { storageState: cookies }) });
    context.setDefaultTimeout(30_000);
    contexts.push(context);
    const page = await context.newPage();
    complaints = await collectComplaints(page);
    await page.goto(federation.url);
    if (!stranger) await page.getByText('Live', { exact: true }).waitFor();
    return page;
  };
  const logIn = async (page: Page, password: string): Promise<void> => {
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Log in' }).click();
  };
  const open = async (page: Page, section: 'Runs' | 'Nodes' | 'Log' | 'Activity'): Promise<void> => {
    await page.getByRole('navigation').getByRole('link', { name: section }).click();
    await page.getByRole('heading', { name: section, level: 1 }).waitFor();
  };
  const rowOf = (page: Page, name: string): Locator => page.getByRole('row').filter({ hasText: name });
  /** What a row says under these headings. */
  const cellsOf = async (table: Locator, row: Locator): Promise<Record<string, string>> => {
    await row.waitFor();
    const head = await table.getByRole('columnheader').allTextContents();
    const cells = await row.getByRole('cell').allTextContents();
    return Object.fromEntries(cells.map((text, index) => [head[index + 1], text.trim()]));
  };
  /** @returns the invite */
  const createInvite = async (page: Page, { autoApprove }: { autoApprove: boolean }): Promise<string> => {
    await page.getByLabel('Approve the node without asking me').setChecked(autoApprove);
    const answer = page.waitForResponse((response) => response.url().endsWith('/api/invites'));
    await page.getByRole('button', { name: 'Create invite' }).click();
    const { invite } = await (await answer).json();
    const shown = page.getByRole('textbox', { name: 'The invite, shown this once' });
    await expect.poll(() => shown.inputValue(), patience).toBe(invite);
    return invite;
  };

  beforeAll(async () => {
    [federation, browser] = await Promise.all([startFederation('Small languages'), openBrowser(chromium ?? '')]);
    const page = await openTab({}, true);
    await logIn(page, federation.password);
    await page.getByRole('heading', { name: 'Runs' }).waitFor();
    cookies = await contexts[0]!.storageState();
  }, timeoutMs);
  afterAll(async () => {
    await browser?.close();
    await federation?.close();
  }, timeoutMs);
  afterEach(async ({ task }) => {
    const pages = contexts.flatMap((context) => context.pages());
    if (task.result?.state === 'fail') for (const page of pages) await takePicture(page, 'failed');
    await Promise.all(contexts.splice(0).map((context) => context.close()));
    if (complaints.length > 0) throw new Error(`the browser complained: ${complaints.splice(0).join('\n')}`);
  });

  it('lets in who knows the password, and tells the others what to do', async () => {
    const page = await openTab({}, true);
    await logIn(page, 'not the password');
    expect(await page.getByRole('alert').textContent()).toMatch(/this is not the password.*weft coordinator init/i);
    await logIn(page, federation.password);
    await page.getByRole('heading', { name: 'Runs' }).waitFor();
    expect(await page.getByText('the coordinator learns the sum of the deltas').count()).toBe(1);
    expect(await page.evaluate('document.cookie')).toBe('');

    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByLabel('Password').waitFor();
    await page.reload();
    await page.getByLabel('Password').waitFor();
  });

  it('runs no script that stands in the page', async () => {
    const page = await openTab();
    await page.evaluate(
      `document.body.append(Object.assign(document.createElement('script'), { textContent: 'globalThis.ran = true' }))`,
    );
    expect(await page.evaluate('globalThis.ran')).toBeUndefined();
    expect(complaints.splice(0).join('\n')).toMatch(/script-src/);
  });

  it('invites a node, sees it wait, approves it and revokes it', async () => {
    const page = await openTab();
    await open(page, 'Nodes');
    await page.getByText('No node yet').waitFor();
    await page.getByLabel('Valid for (hours)').fill('48');
    const invite = await createInvite(page, { autoApprove: false });
    expect(await page.getByLabel('Valid for (hours)').inputValue()).toBe('48');

    const id = await federation.join('archive', invite);
    const row = rowOf(page, 'archive');
    await row.getByText('pending').waitFor();
    expect(await row.getByText(id).count()).toBe(1);
    await page.getByText('One node waits').waitFor();
    await row.getByRole('button', { name: 'Approve archive' }).click();
    await row.getByText('approved').waitFor();
    expect(await row.getByRole('button', { name: 'Approve archive' }).count()).toBe(0);

    await row.getByRole('button', { name: 'Revoke archive' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
    await row.getByText('approved').waitFor();
    await row.getByRole('button', { name: 'Revoke archive' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await row.getByText('revoked').waitFor();

    await open(page, 'Activity');
    for (const kind of ['invite.created', 'node.enrolled', 'node.approved', 'node.revoked']) {
      expect(await page.getByRole('row').filter({ hasText: kind }).count()).toBe(1);
    }
  });

  it('can be used with the keyboard alone', async () => {
    const page = await openTab({}, true);
    const focused = (): Promise<string> =>
      page.evaluate(`(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()`);
    const focusedElement = (): Promise<string> => page.evaluate('document.activeElement.localName');
    const tabTo = async (name: string): Promise<void> => {
      for (let presses = 0; presses < 40; presses += 1) {
        if ((await focused()) === name) return;
        await page.keyboard.press('Tab');
      }
      throw new Error(`40 presses of Tab never reached ${name}`);
    };
    await page.getByLabel('Password').waitFor();
    await page.keyboard.type(federation.password);
    await page.keyboard.press('Enter');
    await page.getByText('Live', { exact: true }).waitFor();

    await page.keyboard.press('Tab');
    expect(await focused()).toBe('Skip to content');
    await page.keyboard.press('Enter');
    expect(await page.evaluate('document.activeElement.id')).toBe('main');
    await page.evaluate('document.activeElement.blur()');
    await tabTo('Nodes');
    await page.keyboard.press('Enter');
    await expect.poll(() => focusedElement(), patience).toBe('h1');
    expect(await page.title()).toBe('Nodes · Weft');

    await tabTo('Create invite');
    await page.keyboard.press('Enter');
    const field = page.getByRole('textbox', { name: 'The invite, shown this once' });
    await federation.join('museum', await field.inputValue());
    await page.getByRole('button', { name: 'Approve museum' }).waitFor();
    await page.evaluate('document.activeElement.blur()');
    await tabTo('Approve museum');
    await page.keyboard.press('Enter');
    await rowOf(page, 'museum').getByText('approved').waitFor();
    // the button is gone, the focus stays in its row
    await expect.poll(() => focusedElement(), patience).toBe('th');
    await tabTo('Revoke museum');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    expect(await focused()).toBe('Cancel');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(await focused()).toBe('Revoke museum');
  });

  it(
    'shows a run live from its spec to its adapter',
    async () => {
      const page = await openTab();
      await open(page, 'Nodes');
      for (const [name, organisation] of [
        ['north', undefined],
        ['south', library],
      ] as const)
        await federation.join(name, await createInvite(page, { autoApprove: true }), organisation);
      await federation.registerModel();

      await open(page, 'Runs');
      await page.getByRole('link', { name: 'New run' }).click();
      const spec = page.getByLabel('Run spec');
      await expect.poll(() => spec.inputValue(), patience).toMatch(/sha256: [0-9a-f]{64}/);
      const right = (await spec.inputValue())
        .replace('name: first run', 'name: two notebooks')
        .replace('steps: 20', 'steps: 6\n  sequenceLength: 32')
        .replace('rounds: 5', 'rounds: 3')
        .replace('minimum: 3', 'minimum: 2')
        .replace('mode: secure', 'mode: plain');
      await spec.fill(right.replace('rounds: 3', 'rounds: 0').replace('mode: plain', 'mode: loud'));
      await page.getByRole('button', { name: 'Create run' }).click();
      const mistakes = page.getByRole('alert').getByRole('listitem');
      await mistakes.first().waitFor();
      expect((await mistakes.allTextContents()).map((line) => line.split(':')[0])).toEqual(
        expect.arrayContaining(['aggregation.mode', 'rounds']),
      );
      await spec.fill(right);
      await page.getByRole('button', { name: 'Create run' }).click();

      await page.getByRole('heading', { name: 'two notebooks', level: 1 }).waitFor();
      const state = page.locator('.title .badge');
      const until = (word: string): Promise<void> => state.filter({ hasText: word }).waitFor({ timeout: timeoutMs });
      await page.getByRole('button', { name: 'Start' }).click();
      await until('running');
      await page.getByRole('button', { name: 'Pause' }).click();
      await until('paused');
      await page.getByRole('button', { name: 'Resume' }).click();
      await until('running');

      // what passes is written down by the page itself: a round of this model takes moments
      await page.evaluate(`
        globalThis.seen = { stages: new Set(), phases: new Set(), bars: 0 };
        new MutationObserver(() => {
          for (const badge of document.querySelectorAll('table .badge')) seen.stages.add(badge.textContent);
          for (const phase of document.querySelectorAll('[aria-current=step] .phase')) seen.phases.add(phase.textContent);
          seen.bars = Math.max(seen.bars, document.querySelectorAll('td progress').length);
        }).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
      `);
      await Promise.all([federation.start('north'), federation.start('south', { witness: 'yes' })]);
      await until('finished');
      const seen = await page.evaluate<{ stages: string[]; phases: string[]; bars: number }>(
        '({ stages: [...seen.stages], phases: [...seen.phases], bars: seen.bars })',
      );
      expect(seen.stages).toEqual(expect.arrayContaining(['training', 'accepted']));
      expect(seen.phases).toContain('training');
      expect(seen.bars).toBe(2);

      await page.getByText('Held-out loss went from').waitFor();
      expect(await page.locator('.plot canvas').count()).toBe(1);
      const rounds = page.getByRole('region', { name: 'Table of rounds' }).getByRole('row');
      // its head, the final adapter, three rounds
      expect(await rounds.count()).toBe(5);
      expect(await cellsOf(rounds.first(), rounds.last())).toMatchObject({
        Updates: '2',
        'From nodes': expect.stringMatching(/KiB|MiB/),
        Clipped: expect.stringContaining('%'),
        Saturated: expect.stringContaining('%'),
        Training: expect.stringMatching(/s$/),
      });
      expect(await page.getByRole('region', { name: 'Protection', exact: true }).textContent()).toContain(
        'Mode plain: the coordinator can read the delta of each member.',
      );
      await takePicture(page, 'run');

      await page.getByRole('button', { name: 'Download adapter' }).click();
      const dialog = page.getByRole('dialog');
      const coming = page.waitForEvent('download');
      await dialog.getByRole('link', { name: 'adapter_model.safetensors' }).click();
      const bytes = await readFile(await (await coming).path());
      expect(await dialog.textContent()).toContain(createHash('sha256').update(bytes).digest('hex'));
      expect(await dialog.getByRole('link', { name: 'adapter_config.json' }).count()).toBe(1);
      expect(await dialog.getByRole('link', { name: 'model.sig' }).count()).toBe(1);
    },
    timeoutMs,
  );

  it(
    'says what each round of a secure run withstood, who was in it, and what it cost',
    async () => {
      const page = await openTab();
      await open(page, 'Nodes');
      await federation.join('east', await createInvite(page, { autoApprove: true }), archive);
      await federation.start('east');
      const organisations = page.getByRole('region', { name: 'Table of organisations' });
      for (const { publicKey } of [archive, library]) {
        const row = organisations.getByRole('row').filter({ hasText: organisationFingerprint(publicKey) });
        expect(await cellsOf(organisations, row)).toMatchObject({ 'Approved nodes': '1', Waiting: '0' });
      }
      const approved = await page.getByRole('region', { name: 'Table of nodes' }).getByText('approved').count();
      const share = `${(100 / approved).toFixed(1)} %`;
      expect(await organisations.getByText(share).count()).toBeGreaterThanOrEqual(2);
      expect(await page.getByText('2 organisations vouch for members').count()).toBe(1);

      const { sha256 } = await federation.registerModel();
      const { id } = await federation.startRun({
        name: 'under noise',
        baseModel: { name: 'tiny', sha256 },
        training: { steps: 4, sequenceLength: 32 },
        cohort: { minimum: 3, maximum: 3, perOrganisation: 1 },
        aggregation: { clipNormL2: 0.5, weighting: 'uniform' },
        privacy: { noiseMultiplier: 0.02, adaptiveClipping: true },
        evaluation: { heldOutShare: 0 },
        rounds: 2,
      });
      await open(page, 'Runs');
      await page.getByRole('link', { name: 'under noise' }).click();
      await page.locator('.title .badge').filter({ hasText: 'finished' }).waitFor({ timeout: timeoutMs });
      const protection = page.getByRole('region', { name: 'Members and protection of each round' });
      const rows = protection.getByRole('row');
      expect(await rows.count()).toBe(3);
      const { privacy, roundsDone } = await page.evaluate<RunDetailView>(
        `fetch('/api/runs/${id}').then((answer) => answer.json())`,
      );
      expect(await cellsOf(protection, rows.nth(1))).toEqual({
        Members: '3',
        Summed: '3',
        Dropped: '0',
        // of three one may collude, since none may drop: ⌊(3 + 1)/2⌋ + 1 must sign
        Withstands: '1 colluder',
        Threshold: '3 of 3',
        Shards: '1',
        Organisations: '2',
        'ε so far': privacy!.epsilonSpent.toLocaleString('en-GB', { maximumFractionDigits: 0 }),
      });
      const rounds = page.getByRole('region', { name: 'Table of rounds' });
      expect(await cellsOf(rounds, rounds.getByRole('row').nth(1))).toMatchObject({
        'Clip norm': roundsDone[1]!.clipNormL2.toPrecision(3),
        'Within it': expect.stringContaining('%'),
      });
      const shares = page.getByRole('region', { name: 'Organisations in the cohort of round 2' });
      expect(
        await cellsOf(shares, shares.getByRole('row').filter({ hasText: organisationFingerprint(library.publicKey) })),
      ).toEqual({
        Members: '1',
        'Share of the cohort': '33.3 %',
        Summed: '1',
        'If all collude with the coordinator': 'withstood',
      });

      // Shards take 129 nodes, and colluders beyond what is withstood a node's consent: here the answer is altered instead.
      await page.route(`**/api/runs/${id}`, async (asked) => {
        const run = (await (await asked.fetch()).json()) as RunDetailView;
        const [first, second] = run.roundsDone;
        second!.secure!.colluders = 0;
        first!.refusedShards = [
          { nodeIds: [first!.nodes[0]!.nodeId], because: 'its weight is 9, 1 node has 1 at most' },
        ];
        await asked.fulfill({ json: run });
      });
      await page.reload();
      await page.getByRole('heading', { name: 'Refused shards' }).waitFor();
      expect(await protection.getByText('1 refused').count()).toBe(1);
      expect(await shares.getByText('not withstood').count()).toBe(3);
      await page.getByText('Its members', { exact: true }).click();
      expect(await page.getByRole('region', { name: 'Refused shards' }).textContent()).toMatch(
        /Round 1: the sum of a shard of 1 member was left out, because its weight is 9.*(north|south|east)/,
      );
      expect(await findBarriers(page)).toEqual([]);
    },
    timeoutMs,
  );

  it('shows the log, the organisations that cosigned it, and the command that checks it', async () => {
    const page = await openTab();
    await open(page, 'Log');
    const signed = page.getByRole('region', { name: 'Table of witnesses' });
    const witness = signed.getByRole('row').filter({ hasText: 'south' });
    expect(await cellsOf(signed, witness)).toEqual({
      Organisation: `Library ${organisationFingerprint(library.publicKey)}`,
      'Has cosigned': expect.stringMatching(/^\d+ entries$/),
    });
    await page.getByText(/^One organisation cosigned/).waitFor();
    const command = await page.getByText(/^weft log verify http/).textContent();
    const { verifierKey, size, root } = await page.evaluate<{ verifierKey: string; size: number; root: string }>(
      `fetch('/api/log').then((answer) => answer.json())`,
    );
    expect(command).toBe(`weft log verify ${federation.url} --key '${verifierKey}'`);
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.getByRole('button', { name: 'Copy verify command' }).click();
    await page.getByRole('status').getByText('The verify command is copied.').waitFor();
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(command);
    // What is copied holds, run as it stands.
    const { stdout } = await runWeft((command ?? '').replaceAll("'", '').split(' ').slice(1));
    expect(stdout).toContain('1 organisation cosigned');

    const [, , written] = (await page
      .getByText(/^weft-log\//)
      .last()
      .textContent())!.split('\n');
    expect(Buffer.from(written!, 'base64').toString('hex')).toBe(root);
    const link = page.getByRole('link', { name: 'checkpoint' });
    expect(
      await (await page.request.get(new URL((await link.getAttribute('href'))!, federation.url).href)).text(),
    ).toContain(`\n${size}\n`);
  });

  it('takes withdrawn rounds off the plot, and marks them', async () => {
    const page = await openTab();
    await page.getByRole('link', { name: 'two notebooks' }).click();
    const drawn = page.locator('.plot');
    expect(await drawn.getAttribute('aria-label')).toMatch(/over 3 rounds/);
    const versions = page.getByRole('region', { name: 'Versions of the adapter' });
    // its head, the third, then the one to go back to
    await versions.getByRole('row').nth(2).getByRole('button').click();
    await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click();
    await page.getByText('1 round that the roll-back withdrew is not drawn').waitFor();
    expect(await drawn.getAttribute('aria-label')).toMatch(/over 2 rounds/);
    const rounds = page.getByRole('region', { name: 'Table of rounds' }).getByRole('row');
    expect(await rounds.filter({ hasText: 'withdrawn' }).getByRole('rowheader').allTextContents()).toEqual([
      '3 withdrawn',
    ]);
    expect(await rounds.count()).toBe(4);
    expect(
      await versions.getByRole('row').filter({ hasText: 'current' }).getByRole('rowheader').textContent(),
    ).toContain('2');
  });

  it('stops a run only when asked twice', async () => {
    const page = await openTab();
    await page.getByRole('link', { name: 'New run' }).click();
    await page.getByLabel('Begin with').selectOption({ label: 'two notebooks' });
    const spec = page.getByLabel('Run spec');
    await expect.poll(() => spec.inputValue(), patience).toContain('two notebooks');
    await spec.fill(
      (await spec.inputValue()).replace('two notebooks', 'never to run').replace('minimum: 2', 'minimum: 9'),
    );
    await page.getByRole('button', { name: 'Create run' }).click();
    await page.getByRole('button', { name: 'Start' }).click();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.keyboard.press('Escape');
    expect(await page.locator('.title .badge').textContent()).toBe('running');
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Stop the run' }).click();
    await page.locator('.title .badge').filter({ hasText: 'stopped' }).waitFor();
    expect(await page.getByRole('button', { name: 'Resume' }).count()).toBe(0);
  });

  it.each([
    ['light', { colorScheme: 'light', viewport: { width: 1280, height: 900 } }],
    ['dark', { colorScheme: 'dark', viewport: { width: 1280, height: 900 } }],
    ['narrow', { colorScheme: 'light', viewport: { width: 360, height: 740 } }],
  ] as const)(
    'has no barriers and fits its window: %s',
    async (look, options) => {
      const page = await openTab(options);
      const inspect = async (view: string): Promise<void> => {
        await takePicture(page, `${view}-${look}`);
        expect(await findBarriers(page), view).toEqual([]);
        expect(
          await page.evaluate('document.documentElement.scrollWidth - innerWidth'),
          `${view} overflows`,
        ).toBeLessThanOrEqual(0);
      };
      await inspect('runs');
      await page.getByRole('link', { name: 'two notebooks' }).click();
      await page.locator('.plot canvas').waitFor();
      await page.getByText('Spec and hashes').click();
      await inspect('run');
      await page.getByRole('button', { name: 'Download adapter' }).click();
      await page.getByRole('link', { name: 'adapter_config.json' }).waitFor();
      await inspect('adapter');
      await page.getByRole('button', { name: 'Close' }).click();
      await open(page, 'Runs');
      await page.getByRole('link', { name: 'under noise' }).click();
      await page.getByRole('region', { name: 'Members and protection of each round' }).waitFor();
      await inspect('secure-run');
      await open(page, 'Nodes');
      await createInvite(page, { autoApprove: true });
      await inspect('nodes');
      await open(page, 'Log');
      await page.getByRole('region', { name: 'Table of witnesses' }).waitFor();
      await inspect('log');
      await open(page, 'Activity');
      await inspect('activity');
      expect(await page.getByRole('main').textContent()).toContain('model.registered');
      expect(await page.getByRole('main').textContent()).not.toContain('/weft-tiny-llama');
      await open(page, 'Runs');
      await page.getByRole('link', { name: 'New run' }).click();
      await page.getByLabel('Run spec').fill('name: 7');
      await page.getByRole('button', { name: 'Create run' }).click();
      await page.getByRole('alert').waitFor();
      await inspect('new-run');
      await page.context().clearCookies();
      await page.reload();
      await page.getByLabel('Password').waitFor();
      await inspect('login');
    },
    timeoutMs,
  );
});
