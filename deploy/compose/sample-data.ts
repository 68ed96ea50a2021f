import process from 'node:process';
import { locales, writeNodeData } from '../../cli/src/demo/corpus.ts';

// Fills an example node's empty volume: `node sample-data.ts /data tr` writes the demo's messages in that language.

const [folder, language] = process.argv.slice(2);
const locale = locales.find((name) => name === language);
if (folder === undefined || locale === undefined) {
  process.stderr.write(`usage: sample-data.ts FOLDER LANGUAGE, of ${locales.join(', ')}\n`);
  process.exitCode = 2;
} else {
  const { file, examples } = await writeNodeData(folder, locale);
  process.stderr.write(`wrote ${examples} sample records to ${file}\n`);
}
