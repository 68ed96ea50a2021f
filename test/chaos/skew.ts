import process from 'node:process';

// Preloaded: the clock that people set is off by WEFT_SKEW_MS, and at SIGUSR2 jumps by WEFT_SKEW_LATER_MS. What only
// counts on (performance.now, timers) stays as it is, as it does where somebody sets the clock of a machine.

const System = Date;
let offMs = Number(process.env['WEFT_SKEW_MS']);
const now = (): number => System.now() + offMs;
globalThis.Date = new Proxy(System, {
  construct: (target, args: [], newTarget: typeof Date) =>
    Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget) as Date,
  get: (target, key) => (key === 'now' ? now : (Reflect.get(target, key) as unknown)),
});
process.on('SIGUSR2', () => {
  offMs += Number(process.env['WEFT_SKEW_LATER_MS']);
});
