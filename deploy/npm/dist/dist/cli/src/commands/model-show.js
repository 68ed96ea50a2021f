import process from 'node:process';
                                         
                                                   
import { onInterrupt } from '../interrupt.js';

                            
                          
                       
 

const run = async (path        , { cache, json }                  )                => {
  const { openModel } = await import('../../../trainer/src/index.js');
  const signal = onInterrupt('stopping');
  const model = await openModel(path, { ...(cache === undefined ? {} : { cacheDir: cache }), signal });
  const tensors = [...model.tensors.values()];
  const shown = {
    name: model.name,
    sha256: model.sha256,
    parameters: tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0),
    dtypes: [...new Set(tensors.map(({ dtype }) => dtype))],
    ...model.config,
  };
  const lines = Object.entries(shown).map(([key, value]) => `${key.padEnd(18)}${String(value)}\n`);
  process.stdout.write(json ? `${JSON.stringify(shown)}\n` : lines.join(''));
};

export const command                = {
  examples: ['weft model show models/base', 'weft model show SmolLM2-135M-Instruct.Q4_1.gguf --json'],
  configure: (command         )       => {
    command
      .argument('<path>', 'a Hugging Face folder or a GGUF file')
      .option('--cache <dir>', 'where unpacked GGUF files are kept (default: $WEFT_CACHE_DIR or ~/.cache/weft)')
      .option('--json', 'one JSON object on standard output')
      .action((path        , _options         , command         ) => run(path, command.opts                  ()));
  },
};
