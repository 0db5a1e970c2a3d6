import type { Clipper } from '../clipping/clipper';
import { carriedStateOf, loadCarriedStateOf } from '../layers/carried-state';
import type { Layer } from '../layers/layer';
import type { Optimizer } from '../optimizers/optimizer';
import { OptimizerBackup } from '../optimizers/optimizer-backup';
import type { Parameter } from '../parameter';
import type { Generator } from '../random';
import type { StateDict } from '../state-dict';

/** What a step of fit changes besides gradients. */
interface Changed {
  model: Layer;
  optimizer: Optimizer;
  clipper: Clipper | undefined;
  generator: Generator | undefined;
}

/**
 * Lets a step that is refused, or that throws, leave no trace: what layers carry, generator, clipper, weights and optimiser, its
 * learning rates among it, are as before.
 */
export class StepGuard {
  readonly #changed: Changed;
  readonly #backup: OptimizerBackup;
  #carried: StateDict = {};
  #generatorState: readonly number[] | undefined;
  #rates: readonly number[] = [];
  #unclip: (() => void) | undefined;

  constructor(changed: Changed) {
    this.#changed = changed;
    this.#backup = new OptimizerBackup(changed.optimizer);
  }

  /** Before a step. */
  begin(): void {
    this.#carried = carriedStateOf(this.#changed.model);
    this.#generatorState = this.#changed.generator?.state;
    this.#rates = this.#changed.optimizer.rateHolders.map(({ learningRate }) => learningRate);
    this.#unclip = undefined;
    this.#backup.forget();
  }

  /** Before the clipper has its turn. */
  beforeClip(): void {
    this.#unclip = markClipper(this.#changed.clipper);
  }

  /**
   * Right before the optimiser has its.
   * @param gradNorm before clipping, which makes gradients smaller; what a rule of the caller's makes of them is looked at
   * @throws EvenkeelError ERR_MEMORY
   */
  beforeUpdate(gradNorm: number): void {
    this.#backup.keep(this.#changed.clipper === undefined ? 1.01 * gradNorm : undefined);
  }

  /** After the optimiser's: the first weight that is not finite. */
  findNonFinite(): Parameter | undefined {
    return this.#backup.findNonFinite();
  }

  takeBack(): void {
    const { model, generator, optimizer } = this.#changed;
    loadCarriedStateOf(model, this.#carried);
    if (generator !== undefined && this.#generatorState !== undefined) generator.state = this.#generatorState;
    this.#unclip?.();
    this.#backup.takeBack();
    for (const [i, holder] of optimizer.rateHolders.entries()) holder.learningRate = this.#rates[i] as number;
  }
}

/** What takes back a clipper's next calls. */
function markClipper(clipper: Clipper | undefined): (() => void) | undefined {
  if (clipper?.mark !== undefined) return clipper.mark();
  const before = clipper?.stateDict?.();
  return before && (() => clipper?.loadStateDict?.(before));
}
