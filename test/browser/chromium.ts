import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import { chromium, type Browser, type Page } from 'playwright-core';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const usual = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** $WEFT_CHROMIUM, or where distributions put it. */
export const findChromium = (): string | undefined => {
  const own = process.env['WEFT_CHROMIUM'];
  return (own === undefined ? usual : [own]).find((path) => existsSync(path));
};

/** Offline and without a profile: the page needs its coordinator and nothing else. */
export const openBrowser = (executablePath: string): Promise<Browser> =>
  chromium.launch({
    executablePath,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });

/** Everything that the browser complained about: errors of scripts, and what the content security policy refused. */
export const collectComplaints = async (page: Page): Promise<string[]> => {
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    // a refused login is one of the things tested, and the browser logs every 4xx answer
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      complaints.push(message.text());
  });
  page.on('request', (request) => {
    const { host } = new URL(request.url());
    if (!/^(?:127\.0\.0\.1:\d+)?$/.test(host)) complaints.push(`asked ${host}`);
  });
  await page.addInitScript(
    `addEventListener('securitypolicyviolation', (event) => console.error('policy: ' + event.violatedDirective + ' ' + event.blockedURI));`,
  );
  return complaints;
};

interface AxeResults {
  readonly violations: readonly {
    readonly id: string;
    readonly impact: string;
    readonly nodes: readonly { readonly html: string }[];
  }[];
}

/** What axe-core finds in the page as it stands, as lines; empty is good. */
export const findBarriers = async (page: Page): Promise<string[]> => {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<AxeResults>('axe.run(document)');
  return violations.map(({ id, impact, nodes }) => `${impact}: ${id}: ${nodes[0]?.html}`);
};

/** Left for people to look at: .cache/browser/NAME.png. */
export const takePicture = async (page: Page, name: string): Promise<void> => {
  const folder = join(repository, '.cache/browser');
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
};
