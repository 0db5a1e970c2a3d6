/** How long work tells what it is doing; the command line shows it as bars or as lines. */
export interface Progress {
  /** A part of `total` steps begins. */
  begin(title: string, total: number): void;
  /** `done` steps of the part are finished; `secondsLeft` is an estimate for all parts, where there is one. */
  advance(done: number, secondsLeft?: number): void;
  /** The part is finished, with what came out in a few words. */
  end(outcome: string): void;
}
