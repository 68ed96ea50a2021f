// How numbers and times are written on the page; always with their unit.

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

export const formatBytes = (sizeBytes: number): string => {
  let value = sizeBytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
};

export const formatSeconds = (seconds: number): string => {
  if (seconds > 0 && seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};

/** Nats a token. */
export const formatLoss = (loss: number): string => loss.toFixed(4);

export const formatShare = (share: number): string => {
  const percent = share * 100;
  if (percent === 0) return '0 %';
  return percent < 0.01 ? '< 0.01 %' : `${percent.toFixed(percent < 1 ? 2 : 1)} %`;
};

/** A privacy budget that is spent, to as many digits as say something. */
export const formatEpsilon = (epsilon: number): string => {
  if (epsilon === 0) return '0';
  return epsilon < 100 ? epsilon.toFixed(epsilon < 10 ? 3 : 1) : formatCount(epsilon);
};

export const formatCount = (count: number): string => Math.round(count).toLocaleString('en-GB');

export const formatTime = (at: number): string =>
  new Date(at).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

/** The day in UTC, as `weft org endorse` writes it. */
export const formatDay = (at: number): string => new Date(at).toISOString().slice(0, 10);

/** How long ago, in the largest unit that says something. */
export const formatAgo = (at: number, now: number): string => {
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (seconds > 0 && seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 10) return 'just now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return formatTime(at);
};

/** Enough of a hash to tell two apart at a glance; the whole one stands in the title. */
export const shortHash = (hash: string): string => hash.slice(0, 12);
