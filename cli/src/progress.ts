import process from 'node:process';
import pc from 'picocolors';

/** One named line of progress. */
export interface Bar {
  /** @param note what stands behind the bar, as in `loss 3.21` */
  update(done: number, note?: string): void;
  /** Fills the bar and leaves it standing. */
  finish(note?: string): void;
}

export interface Progress {
  /** @param total what `done` counts up to */
  bar(name: string, total: number): Bar;
  /** A line above the bars, for what happens once. */
  log(line: string): void;
  /** Draws the last state and gives the terminal back. */
  close(): void;
}

/** What progress writes to: standard error, or a test's memory. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

interface BarState {
  readonly name: string;
  readonly total: number;
  done: number;
  note: string;
  /** Plain lines: the share of the total at which the next line is due. */
  nextLineAt: number;
  finished: boolean;
}

/** Redraws no more often than this: terminals are slow, and training is what the cores are for. */
const redrawIntervalMs = 100;
/** Plain lines come at each tenth. */
const plainLineShare = 0.1;
const barWidth = 24;

const share = (bar: BarState): number => (bar.total > 0 ? Math.min(1, bar.done / bar.total) : 1);

const counted = (bar: BarState): string => `${bar.done}/${bar.total}`;

const drawn = (bar: BarState, nameWidth: number, columns: number): string => {
  const filled = Math.round(share(bar) * barWidth);
  const head = `${bar.name.padEnd(nameWidth)} `;
  const tail = ` ${counted(bar)}${bar.note === '' ? '' : `  ${bar.note}`}`;
  // never wrap: a wrapped line breaks the count of lines to draw over
  const fits = tail.slice(0, Math.max(0, columns - head.length - barWidth - 1));
  return `${head}${pc.cyan('━'.repeat(filled))}${pc.dim('─'.repeat(barWidth - filled))}${fits}`;
};

const terminalProgress = (stream: ProgressStream, now: () => number): Progress => {
  const bars: BarState[] = [];
  let linesDrawn = 0;
  let drawnAtMs = Number.NEGATIVE_INFINITY;
  const erase = (): string => (linesDrawn === 0 ? '' : `\u001B[${linesDrawn}A\u001B[0J`);
  const redraw = (above = '', force = true): void => {
    if (!force && now() - drawnAtMs < redrawIntervalMs) return;
    drawnAtMs = now();
    const nameWidth = Math.max(0, ...bars.map((bar) => bar.name.length));
    const lines = bars.map((bar) => `${drawn(bar, nameWidth, stream.columns ?? 80)}\n`);
    stream.write(erase() + above + lines.join(''));
    linesDrawn = lines.length;
  };
  return {
    bar(name, total) {
      const state: BarState = { name, total, done: 0, note: '', nextLineAt: 0, finished: false };
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

const plainProgress = (stream: ProgressStream): Progress => {
  const print = (bar: BarState): void => {
    stream.write(`${bar.name} ${counted(bar)}${bar.note === '' ? '' : ` ${bar.note}`}\n`);
    bar.nextLineAt = Math.floor(share(bar) / plainLineShare + 1e-9) * plainLineShare + plainLineShare;
  };
  return {
    bar(name, total) {
      const state: BarState = { name, total, done: 0, note: '', nextLineAt: 0, finished: false };
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
  stream: ProgressStream = process.stderr,
  now: () => number = () => performance.now(),
): Progress => (stream.isTTY === true ? terminalProgress(stream, now) : plainProgress(stream));
