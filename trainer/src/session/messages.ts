/** What a session thread and its owner say to each other. Tensors cross as plain arrays, buffers are moved. */
export interface WireTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | BigInt64Array;
}

export type Request =
  | { readonly kind: 'open'; readonly session: string; readonly model: Uint8Array; readonly settings: SessionSettings }
  | { readonly kind: 'setState'; readonly tensors: readonly WireTensor[] }
  | {
      readonly kind: 'run';
      readonly session: string;
      readonly feeds: readonly WireTensor[];
      /** Where outputs `append:NAME` are written into the state NAME. */
      readonly appendAt: number;
    }
  | { readonly kind: 'readState'; readonly names: readonly string[] }
  | { readonly kind: 'close' };

export interface SessionSettings {
  readonly provider: string;
  readonly threads: number;
  /** Folder that external weights lie below. */
  readonly weightsFolder: string | undefined;
  /** Where each session's profile goes, when it is closed: the beginning of a file's name. */
  readonly profilePrefix: string | undefined;
  /** Threads without work look for more all the time: a run of many small nodes then loses nothing by waking them. */
  readonly waits: 'busily' | 'asleep';
  /** Keeps copies of the weights in the order that the kernels like. */
  readonly packsWeights: boolean;
  /** Where the state lies between runs; on a device no session may append to it. */
  readonly state: 'host' | 'device';
}

/** Results of `run` are its outputs that are no state; of `readState` copies of the tensors asked for. */
export type Reply =
  | {
      readonly id: number;
      readonly tensors: readonly WireTensor[];
      /** Between the memory of the host and what is not the host's, if the provider is not the CPU. */
      readonly copiedBytes: number;
    }
  | { readonly id: number; readonly error: string };

/** Output `append:NAME` of a graph, [..., rows, width], is written into the state NAME, [..., capacity, width]. */
export const appendedState = (name: string): string => `append:${name}`;

export type Numbered<T> = T & { readonly id: number };
