import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Lines for comparing tokenizers, none written for the purpose: TypeScript's messages in 13 languages, names of languages
 * and regions from Unicode's locale data in scripts that those lack, source code, numbers, emoji.
 */
export function sampleLines(): string[] {
  return [...messages(42), ...names(), ...code(110), ...numbers(60), ...emoji(60)];
}

/** Scripts of the sample, for the test that there are enough. */
export const scripts = [
  'Latin',
  'Cyrillic',
  'Han',
  'Hiragana',
  'Katakana',
  'Hangul',
  'Arabic',
  'Hebrew',
  'Devanagari',
  'Thai',
  'Greek',
  'Georgian',
  'Armenian',
  'Tamil',
  'Bengali',
  'Ethiopic',
  'Khmer',
  'Sinhala',
  'Telugu',
  'Gujarati',
  'Malayalam',
  'Kannada',
  'Myanmar',
  'Lao',
  'Gurmukhi',
] as const;

const languagesOfOtherScripts = [
  'ar',
  'he',
  'hi',
  'th',
  'el',
  'ka',
  'hy',
  'ta',
  'bn',
  'am',
  'km',
  'si',
  'te',
  'gu',
  'ml',
  'kn',
  'my',
  'lo',
  'pa',
];
const regions = ['DE', 'JP', 'BR', 'NG', 'IN', 'FR', 'US', 'CN', 'EG', 'AU', 'KE', 'PE'];
const languages = ['de', 'ja', 'pt', 'yo', 'hi', 'fr', 'en', 'zh', 'ar', 'qu', 'sw', 'mi'];

const typescript = fileURLToPath(new URL('../../cli/node_modules/typescript-messages', import.meta.url));

function messages(perLanguage: number): string[] {
  const folder = join(typescript, 'lib');
  const files = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(folder, entry.name, 'diagnosticMessages.generated.json'))
    .toSorted();
  return files.flatMap((file) => {
    const all = Object.values(JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>);
    return every(all, perLanguage);
  });
}

function names(): string[] {
  return languagesOfOtherScripts.flatMap((language) => {
    const region = new Intl.DisplayNames([language], { type: 'region' });
    const spoken = new Intl.DisplayNames([language], { type: 'language' });
    return regions.map((code, i) => `${region.of(code)}: ${spoken.of(languages[i] ?? 'en')}`);
  });
}

function code(lines: number): string[] {
  const source = readFileSync(join(typescript, 'lib', 'lib.es5.d.ts'), 'utf8').split('\n');
  return every(
    source.filter((line) => line.trim().length > 0),
    lines,
  );
}

/** In every numbering system that the runtime writes, with the spaces around them that tokenizers stumble over. */
function numbers(count: number): string[] {
  const systems = ['latn', 'arab', 'deva', 'thai', 'beng', 'mymr'];
  return Array.from({ length: count }, (_, i) => {
    const number = new Intl.NumberFormat('en', { numberingSystem: systems[i % systems.length] ?? 'latn' }).format(
      7 ** (i % 17) + i / 8,
    );
    return `${' '.repeat(i % 4)}${number}${'\t'.repeat(i % 3)} ${i}  ${i * 1001}\u00a0${number}²\r\n`;
  });
}

function emoji(count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const face = String.fromCodePoint(0x1f600 + i);
    const person = String.fromCodePoint(0x1f466 + (i % 4), 0x1f3fb + (i % 5)); // with a skin tone
    const family = [0x1f468, 0x200d, 0x1f469, 0x200d, 0x1f466].map((point) => String.fromCodePoint(point)).join('');
    const flag = String.fromCodePoint(0x1f1e6 + (i % 26), 0x1f1e6 + ((i * 7) % 26));
    return `${face}${person} ${family}${flag}❤\ufe0f ${String.fromCodePoint(0x1f300 + i * 4)}`;
  });
}

/** `count` items spread over the whole list. */
const every = <T>(items: readonly T[], count: number): T[] =>
  Array.from({ length: Math.min(count, items.length) }, (_, i) => items[Math.floor((i * items.length) / count)] as T);
