import { spawn,                   } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { WeftError } from '../../../shared/src/index.js';

const entry = fileURLToPath(new URL('../../bin/weft.mjs', import.meta.url));
/** What a process may take to drain before it is killed. */
const drainMs = 10_000;
/** Last lines of a process's log that an error repeats. */
const logLines = 20;

/** One `weft …` process of the demo. */
                              
                        
                       
                                                              
                                   
                                                                          
                        
 

                                     
                        
                                   
                                                      
                                                                        
 

/** Starts processes and leaves none behind: whatever way the demo ends, `stopAll` or the exit of this process ends them. */
export class ProcessGroup {
           #running = new Set              ();

  constructor() {
    process.once('exit', () => {
      for (const child of this.#running) child.kill('SIGKILL');
    });
  }

  start({ name, args, onEvent }                    )              {
    const child = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#running.add(child);
    const log           = [];
    createInterface({ input: child.stderr }).on('line', (line) => {
      log.push(line);
      if (log.length > logLines) log.shift();
    });
    createInterface({ input: child.stdout }).on('line', (line) => onEvent?.(parseLine(line)));
    const exited = once(child, 'exit').then(([code]) => {
      this.#running.delete(child);
      return (code                 ) ?? 1;
    });
    const failed = exited.then((code) => {
      if (code !== 0) {
        throw new WeftError('WEFT_INTERNAL', `${name} ended with exit code ${code}; its last lines:\n${log.join('\n')}`);
      }
      return code;
    });
    failed.catch(() => {}); // whoever waits for it sees the error; nobody has to
    return {
      name,
      pid: child.pid ?? 0,
      exited: failed,
      async stop() {
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill('SIGTERM');
        const timer = setTimeout(() => child.kill('SIGKILL'), drainMs);
        await exited;
        clearTimeout(timer);
      },
    };
  }

  /** Runs a command to its end and gives back what it printed. */
  async run(name        , args                   )                                               {
    const events                                      = [];
    await this.start({ name, args, onEvent: (event) => events.push(event) }).exited;
    return events;
  }
}

function parseLine(line        )                                    {
  try {
    const parsed          = JSON.parse(line);
    return typeof parsed === 'object' && parsed !== null ? (parsed                           ) : { line };
  } catch {
    return { line };
  }
}
