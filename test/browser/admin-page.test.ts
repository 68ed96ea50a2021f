import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { skips } from '../conformance/python.ts';
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
  const open = async (page: Page, section: 'Runs' | 'Nodes' | 'Activity'): Promise<void> => {
    await page.getByRole('navigation').getByRole('link', { name: section }).click();
    await page.getByRole('heading', { name: section, level: 1 }).waitFor();
  };
  const rowOf = (page: Page, name: string): Locator => page.getByRole('row').filter({ hasText: name });
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
      const names = ['north', 'south'];
      for (const name of names) await federation.join(name, await createInvite(page, { autoApprove: true }));
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
      await Promise.all(names.map((name) => federation.start(name)));
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
      const header = await rounds.first().getByRole('columnheader').allTextContents();
      const cells = await rounds.last().getByRole('cell').allTextContents();
      const cell = (name: string): string => cells[header.indexOf(name) - 1] ?? '';
      expect(cell('Updates')).toBe('2');
      expect(cell('From nodes')).toMatch(/KiB|MiB/);
      expect(cell('Clipped')).toMatch(/%/);
      expect(cell('Saturated')).toMatch(/%/);
      expect(cell('Training')).toMatch(/s$/);
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
      await open(page, 'Nodes');
      await createInvite(page, { autoApprove: true });
      await inspect('nodes');
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
