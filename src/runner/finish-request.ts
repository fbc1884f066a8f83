/**
 * "Finish what you are at, then stop": the first Ctrl-C. In: the wish, from whoever hears signals. Out: whether there was anything to
 * finish; if not, the wish is to stop at once, as the second one is.
 */
export class FinishRequest {
  #isBusy = false;
  #onAsked: (() => void) | null = null;
  #asked = false;

  get asked(): boolean {
    return this.#asked;
  }

  /** @returns false where nothing is in progress, or it was asked before: then everything is to stop now */
  ask(): boolean {
    if (this.#asked || !this.#isBusy) return false;
    this.#asked = true;
    this.#onAsked?.();
    return true;
  }

  /** What is done here is finished even when asked to stop. @param onAsked called when that happens */
  async whole<T>(work: () => Promise<T>, onAsked: () => void): Promise<T> {
    this.#isBusy = true;
    this.#onAsked = onAsked;
    try {
      return await work();
    } finally {
      this.#isBusy = false;
      this.#onAsked = null;
    }
  }
}
