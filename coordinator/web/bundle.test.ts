import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundlePage, writePage, type Page } from './bundle.ts';

describe('the bundled page', () => {
  let page: Page;
  let folder: string;
  beforeAll(async () => {
    page = await bundlePage();
    folder = await mkdtemp(join(tmpdir(), 'weft-page-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  const text = (path: string): string => new TextDecoder().decode(page.files.get(path)?.body);

  it('holds every file that the page names', () => {
    const named = [...text('/').matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path);
    expect(named.length).toBeGreaterThan(2);
    for (const path of named) expect([...page.files.keys()]).toContain(path);
  });

  it('keeps to a policy without inline script and style', () => {
    const html = text('/');
    expect(html).not.toMatch(/<style|\sstyle=|\son[a-z]+=/);
    expect(html).not.toMatch(/<script(?![^>]*\ssrc=)/);
  });

  it('leads to no other host', () => {
    expect(text('/')).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
    expect(text('/main.css')).not.toMatch(/url\(|@import/);
  });

  it('loads the YAML parser only with the form that needs it', () => {
    const chunks = [...page.files.keys()].filter((path) => path.endsWith('.js') && path !== '/main.js');
    expect(chunks.length).toBeGreaterThan(0);
    expect(text('/main.js')).not.toContain('YAMLParseError');
  });

  it('is written for a package as it is served', async () => {
    await writePage(folder);
    expect((await readdir(folder)).toSorted()).toEqual(
      [...page.files.keys()].map((path) => (path === '/' ? 'index.html' : path.slice(1))).toSorted(),
    );
    expect(await readFile(join(folder, 'main.js'))).toEqual(Buffer.from(page.files.get('/main.js')?.body ?? []));
  });
});
