import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** English text beside the messages: what packages of our lock file say about themselves. */
export interface DocumentSource {
  readonly package: string;
  /** The package's folder, below the repository. */
  readonly folder: string;
  readonly licence: string;
  /** Below the package's folder. Lists of links and change logs are left out. */
  readonly files: readonly string[];
}

const fastifyGuides = [
  'Database',
  'Delay-Accepting-Requests',
  'Detecting-When-Clients-Abort',
  'Fluent-Schema',
  'Getting-Started',
  'Migration-Guide-V4',
  'Migration-Guide-V5',
  'Plugins-Guide',
  'Prototype-Poisoning',
  'Recommendations',
  'Serverless',
  'Style-Guide',
  'Testing',
  'Write-Plugin',
  'Write-Type-Provider',
];
const fastifyReference = [
  'ContentTypeParser',
  'Decorators',
  'Encapsulation',
  'Errors',
  'HTTP2',
  'Hooks',
  'LTS',
  'Lifecycle',
  'Logging',
  'Middleware',
  'Plugins',
  'Principles',
  'Reply',
  'Request',
  'Routes',
  'Server',
  'Type-Providers',
  'TypeScript',
  'Validation-and-Serialization',
  'Warnings',
];
const pinoDocuments = [
  'api',
  'asynchronous',
  'browser',
  'bundling',
  'child-loggers',
  'diagnostics',
  'help',
  'lts',
  'pretty',
  'redaction',
  'transports',
  'web',
];

export const documentSources: readonly DocumentSource[] = [
  {
    package: 'fastify',
    folder: 'coordinator/node_modules/fastify',
    licence: 'MIT',
    files: [
      'README.md',
      'PROJECT_CHARTER.md',
      ...fastifyGuides.map((name) => `docs/Guides/${name}.md`),
      ...fastifyReference.map((name) => `docs/Reference/${name}.md`),
    ],
  },
  {
    package: 'pino',
    folder: 'coordinator/node_modules/pino',
    licence: 'MIT',
    files: ['README.md', ...pinoDocuments.map((name) => `docs/${name}.md`)],
  },
  { package: 'commander', folder: 'cli/node_modules/commander', licence: 'MIT', files: ['Readme.md'] },
  { package: 'fast-check', folder: 'node_modules/fast-check', licence: 'MIT', files: ['README.md'] },
  { package: 'preact', folder: 'coordinator/node_modules/preact', licence: 'MIT', files: ['README.md'] },
  {
    package: '@preact/signals',
    folder: 'coordinator/node_modules/@preact/signals',
    licence: 'MIT',
    files: ['README.md'],
  },
  { package: 'uplot', folder: 'coordinator/node_modules/uplot', licence: 'MIT', files: ['README.md'] },
  { package: 'selfsigned', folder: 'coordinator/node_modules/selfsigned', licence: 'MIT', files: ['README.md'] },
  {
    package: 'better-sqlite3',
    folder: 'coordinator/node_modules/better-sqlite3',
    licence: 'MIT',
    files: ['README.md'],
  },
  {
    package: '@grpc/grpc-js',
    folder: 'coordinator/node_modules/@grpc/grpc-js',
    licence: 'Apache-2.0',
    files: ['README.md'],
  },
  {
    package: 'drizzle-orm',
    folder: 'coordinator/node_modules/drizzle-orm',
    licence: 'Apache-2.0',
    files: ['README.md'],
  },
  { package: 'tweetnacl', folder: 'shared/node_modules/tweetnacl', licence: 'Unlicense', files: ['README.md'] },
  { package: 'zod', folder: 'shared/node_modules/zod', licence: 'MIT', files: ['README.md'] },
  { package: 'yaml', folder: 'cli/node_modules/yaml', licence: 'ISC', files: ['README.md'] },
];

const repository = fileURLToPath(new URL('../../../../', import.meta.url));

/** Version and licence as the installed package states them; throws if the licence is not the one we looked at. */
export function describeSource(source: DocumentSource): { version: string; licence: string } {
  const { version, license } = JSON.parse(readFileSync(`${repository}${source.folder}/package.json`, 'utf8')) as {
    version: string;
    license: string;
  };
  if (license !== source.licence)
    throw new Error(`${source.package} ${version} is under ${license}, this list says ${source.licence}`);
  return { version, licence: license };
}

/** The paragraphs of a package's documents, as plain prose. */
export function readParagraphs(source: DocumentSource): string[] {
  return source.files.flatMap((file) => toParagraphs(readFileSync(`${repository}${source.folder}/${file}`, 'utf8')));
}

/** Shorter pieces are headings, badges and crumbs of tables. */
const shortestParagraph = 40;

/** Leaves code, tables, HTML and link targets out of a Markdown text, and joins each paragraph to one line. */
export function toParagraphs(markdown: string): string[] {
  return markdown
    .replaceAll('\r\n', '\n')
    .replaceAll(/^(```|~~~)[^]*?^\1.*$/gm, '')
    .replaceAll(/<!--[^]*?-->/g, '')
    .split(/\n\s*\n|\n(?=\s*[-*+#|]|\s*\d+\.)/)
    .filter((block) => !/^\s*[#|<[]|^ {4}|^\s*!\[/.test(block))
    .map((block) =>
      block
        .replaceAll(/!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])/g, '$1')
        .replaceAll(/<[^>]+>|https?:\S+/g, '')
        .replace(/^\s*(?:[-*+>]|\d+\.)\s+/, '')
        .replaceAll(/\*\*|__/g, '')
        .replaceAll(/\s+/g, ' ')
        .trim(),
    )
    .filter((paragraph) => paragraph.length >= shortestParagraph);
}
