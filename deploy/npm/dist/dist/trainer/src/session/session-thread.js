import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { WeftError } from '../../../shared/src/index.js';
                                            
                                                                          

                                       
                              
                           
                                                
                                              
 

                   
                                                
                               
 

/** ONNX Runtime in a thread of its own: sessions, and the state that they share and update in place. */
export class SessionThread                            {
           #options                      ;
           #worker        ;
           #waiting = new Map                 ();
           #ended               ;
  #nextId = 0;
  #failure                       ;

  constructor(options                      ) {
    this.#options = options;
    // .ts in a checkout, .js in a package built for npm
    this.#worker = new Worker(new URL(`session-worker${path.extname(import.meta.url)}`, import.meta.url));
    this.#worker.on('message', (reply       ) => this.#settle(reply));
    this.#worker.on('error', (cause) => this.#fail(`the session thread failed: ${String(cause)}`, cause));
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        this.#fail(`the session thread ended with code ${code}`);
        resolve();
      });
    });
  }

  /** Loads a model under a name. */
  async open(session        , model            )                {
    const { provider, threads, weightsFolder } = this.#options;
    const settings = { provider: provider.name, threads, weightsFolder };
    try {
      await this.#ask({ kind: 'open', session, model, settings });
    } catch (cause) {
      if (provider.name === 'cpu') throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new WeftError('WEFT_TRAINING_DEVICE', `device ${provider.name} cannot run the model: ${why}`, { device: provider.name }, { cause });
    }
  }

  async setState(tensors                       )                {
    await this.#ask({ kind: 'setState', tensors });
  }

  /** Runs a session on the state and these inputs; returns the outputs that are no state. */
  async run(session        , feeds                       )                                             {
    return toMap(await this.#ask({ kind: 'run', session, feeds }));
  }

  async readState(names                   )                                             {
    return toMap(await this.#ask({ kind: 'readState', names }));
  }

  /** Ends the thread after the run that is under way. */
  async [Symbol.asyncDispose]()                {
    if (!this.#failure) {
      const request                    = { id: this.#nextId++, kind: 'close' };
      this.#worker.postMessage(request);
    }
    await this.#ended;
  }

  #ask(request         )                                 {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, ...request });
    });
  }

  #settle(reply       )       {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ('tensors' in reply) waiting?.resolve(reply.tensors);
    else waiting?.reject(new WeftError('WEFT_TRAINING_RUNTIME', `ONNX Runtime: ${reply.error}`));
  }

  #fail(what        , cause          )       {
    this.#failure ??= new WeftError('WEFT_TRAINING_RUNTIME', what, {}, { cause });
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}

const toMap = (tensors                       )                                    =>
  new Map(
    tensors.flatMap(({ name, data })                           => (data instanceof Float32Array ? [[name, data]] : [])),
  );
