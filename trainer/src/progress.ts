/** Called now and then while something long goes on; bars are drawn from it. */
export type OnProgress = (progress: {
  readonly phase: 'hash' | 'unpack' | 'write' | 'quantise';
  readonly doneBytes: number;
  readonly totalBytes: number;
}) => void;
