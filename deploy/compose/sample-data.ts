import process from 'node:process';
import { locales, writeHeldOutData, writeNodeData } from '../../cli/src/demo/corpus.ts';

// Text to try Weft with: `node sample-data.ts /data tr` writes the demo's messages in that language, and
// `node sample-data.ts /elsewhere tr held-out` those that nobody trains on.

const [folder, language, part] = process.argv.slice(2);
const locale = locales.find((name) => name === language);
if (folder === undefined || locale === undefined || (part !== undefined && part !== 'held-out')) {
  process.stderr.write(`usage: sample-data.ts FOLDER LANGUAGE [held-out], of ${locales.join(', ')}\n`);
  process.exitCode = 2;
} else {
  const { file, examples } = await (part === undefined ? writeNodeData : writeHeldOutData)(folder, locale);
  process.stderr.write(`wrote ${examples} sample records to ${file}\n`);
}
