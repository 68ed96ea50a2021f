import process from 'node:process';
import pc from 'picocolors';

/** One named line of progress. */
                      
                                                                  
                                            
                                              
                              
 

                           
                                              
                                        
                                                      
                          
                                                          
                
 

/** What progress writes to: standard error, or a test's memory. */
                                 
                           
                            
                               
 

                    
                        
                         
               
               
                                                                           
                     
                    
 

/** Redraws no more often than this: terminals are slow, and training is what the cores are for. */
const redrawIntervalMs = 100;
/** Plain lines come at each tenth. */
const plainLineShare = 0.1;
const barWidth = 24;

const share = (bar          )         => (bar.total > 0 ? Math.min(1, bar.done / bar.total) : 1);

const counted = (bar          )         => `${bar.done}/${bar.total}`;

const drawn = (bar          , nameWidth        , columns        )         => {
  const filled = Math.round(share(bar) * barWidth);
  const head = `${bar.name.padEnd(nameWidth)} `;
  const tail = ` ${counted(bar)}${bar.note === '' ? '' : `  ${bar.note}`}`;
  // never wrap: a wrapped line breaks the count of lines to draw over
  const fits = tail.slice(0, Math.max(0, columns - head.length - barWidth - 1));
  return `${head}${pc.cyan('━'.repeat(filled))}${pc.dim('─'.repeat(barWidth - filled))}${fits}`;
};

const terminalProgress = (stream                , now              )           => {
  const bars             = [];
  let linesDrawn = 0;
  let drawnAtMs = Number.NEGATIVE_INFINITY;
  const erase = ()         => (linesDrawn === 0 ? '' : `\u001B[${linesDrawn}A\u001B[0J`);
  const redraw = (above = '', force = true)       => {
    if (!force && now() - drawnAtMs < redrawIntervalMs) return;
    drawnAtMs = now();
    const nameWidth = Math.max(0, ...bars.map((bar) => bar.name.length));
    const lines = bars.map((bar) => `${drawn(bar, nameWidth, stream.columns ?? 80)}\n`);
    stream.write(erase() + above + lines.join(''));
    linesDrawn = lines.length;
  };
  return {
    bar(name, total) {
      const state           = { name, total, done: 0, note: '', nextLineAt: 0, finished: false };
      bars.push(state);
      redraw();
      return {
        update(done, note) {
          state.done = done;
          state.note = note ?? state.note;
          redraw('', false);
        },
        finish(note) {
          state.done = state.total;
          state.note = note ?? state.note;
          redraw();
        },
      };
    },
    log: (line) => redraw(`${line}\n`),
    close() {
      redraw();
      linesDrawn = 0;
      bars.length = 0;
    },
  };
};

const plainProgress = (stream                )           => {
  const print = (bar          )       => {
    stream.write(`${bar.name} ${counted(bar)}${bar.note === '' ? '' : ` ${bar.note}`}\n`);
    bar.nextLineAt = Math.floor(share(bar) / plainLineShare + 1e-9) * plainLineShare + plainLineShare;
  };
  return {
    bar(name, total) {
      const state           = { name, total, done: 0, note: '', nextLineAt: 0, finished: false };
      return {
        update(done, note) {
          state.done = done;
          state.note = note ?? state.note;
          if (share(state) + 1e-9 >= state.nextLineAt) print(state);
        },
        finish(note) {
          if (state.finished) return;
          state.finished = true;
          const said = share(state) === 1 && note === undefined;
          state.done = state.total;
          state.note = note ?? state.note;
          if (!said) print(state);
        },
      };
    },
    log: (line) => stream.write(`${line}\n`),
    close: () => {},
  };
};

/** Bars on a terminal, a plain line each tenth elsewhere; always on standard error unless told otherwise. */
export const createProgress = (
  stream                 = process.stderr,
  now               = () => performance.now(),
)           => (stream.isTTY === true ? terminalProgress(stream, now) : plainProgress(stream));
