import { createHash } from 'node:crypto';

/** Endless 32-bit words from SHA-256 in counter mode: the same seed gives the same words on every machine. */
function* words(seed                 )                           {
  for (let counter = 0; ; counter++) {
    const digest = createHash('sha256').update(`weft.v1.order\n${seed}\n${counter}`).digest();
    for (let i = 0; i < digest.length; i += 4) yield digest.readUInt32LE(i);
  }
}

/** 0 … length − 1 in an order drawn uniformly from the seed (Fisher–Yates; Knuth, TAOCP 2, algorithm P). */
export function randomOrder(length        , seed                 )           {
  const source = words(seed);
  const order = Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const j = below(i + 1, source);
    [order[i], order[j]] = [order[j]          , order[i]          ];
  }
  return order;
}

/** Uniform below `bound`, without the bias of a plain remainder. */
function below(bound        , source                          )         {
  const usable = 2 ** 32 - (2 ** 32 % bound);
  for (;;) {
    const word = source.next().value;
    if (word < usable) return word % bound;
  }
}
