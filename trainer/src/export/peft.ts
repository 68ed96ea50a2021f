import { copyFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { modelCard, type Origin } from './model-card.ts';
import { writeNewFolder } from './new-path.ts';

/** The two files of an adapter byte for byte, so that its hash stays, and a card that tells what training.json told. */
export const copyAdapter = (adapter: string, out: string, origin: Origin): Promise<void> =>
  writeNewFolder(out, async (folder) => {
    for (const name of ['adapter_config.json', 'adapter_model.safetensors'])
      await copyFile(join(adapter, name), join(folder, name));
    await writeFile(join(folder, 'README.md'), modelCard(origin, 'peft', basename(out)));
  });
