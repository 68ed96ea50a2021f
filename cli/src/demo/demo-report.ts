/** What `weft demo --json` prints, and what the closing table shows. Losses are mean nats a token on held-out text. */
export interface DemoReport {
  readonly model: { readonly name: string; readonly sha256: string };
  readonly rounds: number;
  /** By language tag; `local` by node name: the adapter that the node trained alone. */
  readonly languages: Readonly<Record<string, LanguageLosses>>;
  readonly nodes: readonly DemoNode[];
  /** `total` is the demo's wall time; the others are sums over rounds, from the coordinator's event table. */
  readonly seconds: {
    readonly training: number;
    readonly transfer: number;
    readonly aggregation: number;
    readonly total: number;
  };
  readonly adapter: { readonly path: string; readonly sha256: string };
}

export interface LanguageLosses {
  readonly base: number;
  readonly federated: number;
  readonly local: Readonly<Record<string, number>>;
}

export interface DemoNode {
  readonly name: string;
  readonly language: string;
  /** Examples that the node trained on. */
  readonly examples: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}
