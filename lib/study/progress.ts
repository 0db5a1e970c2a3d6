/** How a running study tells what it is doing; the command line shows it as bars or as lines. */
export interface StudyProgress {
  /** A run of `total` training steps begins. */
  begin(title: string, total: number): void;
  /** `done` steps are finished. */
  advance(done: number): void;
  /** The run is finished, with what came out in a few words. */
  end(outcome: string): void;
}
