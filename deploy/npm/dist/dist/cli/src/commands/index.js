                                                  

/** Every command of `weft`, in the order in which `weft --help` lists them. */
export const commands                          = [
  { words: ['train'], summary: 'fine-tune a LoRA adapter on this machine', load: () => import('./train.js') },
  { words: ['eval'], summary: 'loss and perplexity of a model on a file', load: () => import('./eval.js') },
  {
    words: ['model', 'show'],
    summary: 'what a model folder or GGUF holds, with its hash',
    load: () => import('./model-show.js'),
  },
];
