/** Lets those wait whose memory would not fit beside the others', in the order in which they came. */
export class MemoryBudget {
  #taken = 0;
  #holders = 0;
  readonly #waiting: { bytes: number; start: () => void }[] = [];

  /** @param bytes for all together */
  constructor(readonly bytes: number) {}

  /** How many of such a size fit at once, at least one: a single one is let in whatever its size, and fails by itself if it must. */
  count(bytes: number): number {
    return Math.max(1, Math.floor(this.bytes / bytes));
  }

  /** Waits for its turn; returns the function that gives the memory back. */
  async take(bytes: number): Promise<() => void> {
    await new Promise<void>((start) => {
      this.#waiting.push({ bytes, start });
      this.#admit();
    });
    return () => {
      this.#taken -= bytes;
      this.#holders--;
      this.#admit();
    };
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#holders > 0 && this.#taken + next.bytes > this.bytes) return;
      this.#waiting.shift();
      this.#taken += next.bytes;
      this.#holders++;
      next.start();
    }
  }
}
