import { availableParallelism } from 'node:os';
import { Option,              } from 'commander';
import { wholeNumber } from './option-values.js';

export const devices = ['auto', 'cpu', 'webgpu', 'cuda', 'dml', 'coreml']         ;
                                              

/** What every command that opens a model takes. */
                               
                         
                           
                          
                          
 

export const addModelOptions = (command         )          =>
  command
    .requiredOption(
      '--model <path>',
      'a Hugging Face folder (config.json, tokenizer.json, *.safetensors) or a GGUF file',
    )
    .addOption(
      new Option('--threads <n>', 'threads of the runtime')
        .argParser(wholeNumber(1, 1024))
        .default(availableParallelism(), 'all cores'),
    )
    .addOption(new Option('--device <name>', 'where to compute').choices(devices).default('auto'))
    .option('--cache <dir>', 'where unpacked GGUF files are kept (default: $WEFT_CACHE_DIR or ~/.cache/weft)');
