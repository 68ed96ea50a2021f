/**
 * Squared L2 distances between n updates and the origin, which stands at index n. They add up over parameter ranges,
 * so that no whole update need be in memory; the numbers kept are (n + 1)².
 */
export class Distances {
  readonly nodes: number;
  readonly #squared: Float64Array;

  constructor(nodes: number) {
    this.nodes = nodes;
    this.#squared = new Float64Array((nodes + 1) ** 2);
  }

  /** @param updates the next range of each, [nodes][range] */
  add(updates: readonly Float64Array[]): void {
    const points = [...updates, new Float64Array(updates[0]?.length ?? 0)];
    for (const [i, x] of points.entries()) {
      for (let j = 0; j < i; j++) {
        const y = points[j]!;
        let sum = 0;
        for (let k = 0; k < x.length; k++) sum += (x[k]! - y[k]!) ** 2;
        this.#squared[i * points.length + j]! += sum;
        this.#squared[j * points.length + i]! += sum;
      }
    }
  }

  /** ‖xᵢ − xⱼ‖², index n for the origin. */
  squared(i: number, j: number): number {
    return this.#squared[i * (this.nodes + 1) + j]!;
  }

  /** ‖xᵢ‖ */
  norm(i: number): number {
    return Math.sqrt(this.squared(i, this.nodes));
  }

  /**
   * Distances of z = Σ wᵢ·xᵢ from every update, without the vectors: for weights that add up to 1, those of the origin
   * included, ‖z − xⱼ‖² = Σᵢ wᵢ·dᵢⱼ² − ½ Σᵢₖ wᵢ·wₖ·dᵢₖ² (Leibniz's formula for a barycentre). Rounding can leave a
   * square a little below zero, which counts as zero.
   * @param weights of the n updates; the origin has the rest
   */
  fromBarycentre(weights: readonly number[]): number[] {
    const all = [...weights, 1 - weights.reduce((sum, weight) => sum + weight, 0)];
    const means = all.map((_, j) => all.reduce((sum, weight, i) => sum + weight * this.squared(i, j), 0));
    const spread = all.reduce((sum, weight, j) => sum + weight * means[j]!, 0) / 2;
    return means.slice(0, this.nodes).map((mean) => Math.sqrt(Math.max(0, mean - spread)));
  }
}
