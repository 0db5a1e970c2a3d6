/** Depth in time: how the gradient of a loss on the last step grows on its way back, for every placement and every way to start W_hh. */
import { setImmediate } from 'node:timers/promises';
import type { LayerNorm } from '../layers/layer-norm';
import type { RecurrentLayer } from '../layers/recurrent/recurrent-layer';
import type { RNNOptions } from '../layers/rnn';
import { Sequential } from '../layers/sequential';
import type { Progress } from '../progress';
import { Generator } from '../random';
import type { Growth, LayerFlow } from '../stability/flow';
import { gradientFlow } from '../stability/gradient-flow';
import { lyapunovSpectrum } from '../stability/lyapunov';
import { Tensor } from '../tensor';
import { type DrawnMean, formatRate, meanOfDraws } from './draws';
import { type DepthPlacement, type PlacedOptions, placedLayers, recurrencesOf } from './placements';
import type { CoursePoint, DepthDesign, DepthPart, Spectrum } from './results';
import { starts } from './starts';

export const depthSetUp: Omit<DepthPart, 'cell' | 'timeSteps' | 'seeds' | 'designs'> = {
  sequences: 8,
  inputSize: 10,
  hiddenSize: 20,
  dtype: 'float64',
};

/** One seed's data, the same for every design, and the seed of its weights. */
interface Draw {
  input: Tensor;
  target: Tensor;
  weightSeed: number;
}

/** What one seed gives of a design. */
interface Measured {
  growth: Growth;
  /** ln‖∂L/∂h_t‖ for t = 1 … T */
  logNorms: Float64Array;
  spectrum: Spectrum;
}

/** Measures every design before any training, and adds each to `part.designs` when all its seeds are done. */
export async function runDepth(part: DepthPart, seed: number, progress: Progress, signal?: AbortSignal): Promise<void> {
  const seeds = new Generator(seed);
  const recurrences = recurrencesOf(part.cell);
  const draws = Array.from({ length: part.seeds }, () => draw(part, new Generator(seeds.nextUint32())));
  for (const start of starts) {
    progress.begin(`Depth in time: ${start.name}`, recurrences.length * draws.length);
    const designs: DepthDesign[] = [];
    for (const { name } of recurrences) {
      const begin = performance.now();
      const measured: Measured[] = [];
      for (const data of draws) {
        await setImmediate();
        signal?.throwIfAborted();
        measured.push(measure(name, start.options, data, part));
        progress.advance(designs.length * draws.length + measured.length);
      }
      designs.push(designOf(name, start.name, measured, (performance.now() - begin) / 1000));
    }
    // Together: a design is judged beside the others that start alike.
    part.designs.push(...designs);
    progress.end(outcome(designs));
  }
}

function draw({ sequences, timeSteps, inputSize, hiddenSize, dtype }: DepthPart, generator: Generator): Draw {
  const input = Tensor.randn([sequences, timeSteps, inputSize], { generator, dtype });
  const target = Tensor.randn([sequences, hiddenSize], { generator, dtype });
  return { input, target, weightSeed: generator.nextUint32() };
}

function measure(
  placement: DepthPlacement,
  initializer: RNNOptions['recurrentInitializer'],
  { input, target, weightSeed }: Draw,
  sizes: DepthPart,
): Measured {
  const { cell, inputSize, hiddenSize, dtype } = sizes;
  const options: PlacedOptions = {
    cell,
    inputSize,
    hiddenSize,
    dtype,
    recurrentInitializer: initializer,
    generator: new Generator(weightSeed),
    returnSequences: false,
  };
  const layers = placedLayers(placement, options);
  const { name: _, logNorms, states: __, ...growth } = (gradientFlow(new Sequential(layers), input, { target }).layers as [LayerFlow])[0];
  // What a LayerNorm before the RNN makes of the input is what drives the recurrence.
  const driving = placement === 'input' ? (layers.ln as LayerNorm).forward(input) : input;
  const { exponents, standardErrors } = lyapunovSpectrum(layers.rnn as RecurrentLayer<unknown>, driving);
  return { growth, logNorms, spectrum: { exponents: Array.from(exponents), standardErrors: Array.from(standardErrors) } };
}

function designOf(placement: DepthPlacement, initializer: string, measured: readonly Measured[], seconds: number): DepthDesign {
  return {
    placement,
    initializer,
    growths: measured.map(({ growth }) => growth),
    spectra: measured.map(({ spectrum }) => spectrum),
    course: courseOf(measured.map(({ logNorms }) => logNorms)),
    seconds,
  };
}

/** More points than a chart's pixels would be wasted. */
const coursePoints = 250;

/** The course over the distance T − t, at all of them or at equal intervals. */
function courseOf(seeds: readonly Float64Array[]): CoursePoint[] {
  const steps = seeds[0]?.length ?? 0;
  const stride = Math.ceil(steps / coursePoints);
  return Array.from({ length: Math.ceil(steps / stride) }, (_, i) => {
    const distance = i * stride;
    const values = seeds.map((logNorms) => logNorms[steps - 1 - distance] as number);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return { distance, mean, low: Math.min(...values), high: Math.max(...values) };
  });
}

function outcome(designs: readonly DepthDesign[]): string {
  const growing = designs.filter((design) => growthOf(design).interval[0] > 0);
  const rates = growing.map((design) => `${design.placement} ${formatRate(growthOf(design))}`);
  return rates.length === 0 ? 'no gradient grows' : `gradients grow: ${rates.join(', ')}`;
}

/** The mean rate over the draws. */
export function growthOf({ growths }: Pick<DepthDesign, 'growths'>): DrawnMean {
  return meanOfDraws(growths.map(({ growthRate }) => growthRate));
}
