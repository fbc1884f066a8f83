/** Hands out the paged KV cache's blocks. A sequence takes all it may need when admitted, so none ever runs out midway. */
export class BlockManager {
  readonly blockSize: number;
  readonly total: number;
  private readonly freeList: number[];

  constructor(total: number, blockSize: number) {
    this.total = total;
    this.blockSize = blockSize;
    this.freeList = Array.from({ length: total }, (_, i) => total - 1 - i);
  }

  get free(): number {
    return this.freeList.length;
  }

  blocksFor(positions: number): number {
    return Math.ceil(positions / this.blockSize);
  }

  /** Block numbers for so many positions, or null when too few are free. */
  take(positions: number): number[] | null {
    const count = this.blocksFor(positions);
    if (count > this.freeList.length) return null;
    return this.freeList.splice(this.freeList.length - count, count);
  }

  give(blocks: number[]): void {
    this.freeList.push(...blocks);
  }
}
