import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { formatLoss } from '../format.ts';
import type { LossSeries } from '../state/loss-series.ts';

const heightPx = 260;

/** The canvas has no style sheet of its own: it draws in the page's colours, light or dark. */
const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const options = (rounds: number, widthPx: number, onCursor: (index: number | undefined) => void): uPlot.Options => {
  const axis = {
    stroke: colour('--muted'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1 },
    font: '12px system-ui, sans-serif',
    labelFont: '12px system-ui, sans-serif',
  };
  return {
    width: widthPx,
    height: heightPx,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 9 } },
    scales: { x: { time: false, range: [0, Math.max(1, rounds)] } },
    axes: [
      {
        ...axis,
        label: 'Rounds',
        labelSize: 22,
        size: 34,
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10_000],
      },
      {
        ...axis,
        label: 'Nats a token',
        labelSize: 24,
        size: 62,
        values: (_, ticks) => ticks.map((tick) => `${Number(tick.toFixed(4))}`),
      },
    ],
    series: [{}, { stroke: colour('--accent'), width: 2, points: { show: true, size: 6, fill: colour('--accent') } }],
    hooks: { setCursor: [(plot) => onCursor(plot.cursor.idx ?? undefined)] },
  };
};

const useDark = (): boolean => {
  const [query] = useState(() => matchMedia('(prefers-color-scheme: dark)'));
  const [dark, setDark] = useState(query.matches);
  useEffect(() => {
    const change = (): void => setDark(query.matches);
    query.addEventListener('change', change);
    return () => query.removeEventListener('change', change);
  }, []);
  return dark;
};

export function LossPlot({ series, rounds, label }: { series: LossSeries; rounds: number; label: string }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const [pointed, setPointed] = useState<number | undefined>(undefined);
  const dark = useDark();

  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const drawn = new uPlot(options(rounds, element.clientWidth, setPointed), [[], []], element);
    plot.current = drawn;
    const sizes = new ResizeObserver(() => drawn.setSize({ width: element.clientWidth, height: heightPx }));
    sizes.observe(element);
    return () => {
      sizes.disconnect();
      drawn.destroy();
    };
  }, [rounds, dark]);

  useEffect(() => {
    plot.current?.setData([[...series.rounds], [...series.losses]]);
  }, [rounds, dark, series.rounds.join(), series.losses.join()]);

  const round = pointed === undefined ? undefined : series.rounds[pointed];
  const loss = pointed === undefined ? undefined : series.losses[pointed];
  return (
    <figure>
      <div class="plot" ref={place} role="img" aria-label={label} />
      <figcaption class="faint">
        {round === undefined || loss === undefined
          ? 'The same numbers stand in the table of rounds.'
          : `After ${round} rounds: ${formatLoss(loss)} nats a token`}
      </figcaption>
    </figure>
  );
}
