/** The growth of gradients before any training, over numbers of units, sizes of the input, starts, nonlinearities and places of a LayerNorm. */
import { setImmediate } from 'node:timers/promises';
import type { RecurrentLayer } from '../layers/recurrent/recurrent-layer';
import { Sequential } from '../layers/sequential';
import type { Progress } from '../progress';
import { Generator } from '../random';
import { gradientFlow } from '../stability/gradient-flow';
import { Tensor } from '../tensor';
import { formatSigned, meanOfDraws } from './draws';
import { meanFieldRate } from './mean-field';
import { placedLayers, recurrencesOf, type StudyCell } from './placements';
import type { GridCell, GridPart } from './results';
import { drawWeights, type Start, starts } from './starts';

/** What is measured of each start and number of units: all places of a LayerNorm on the same weights and data. */
type Block = Pick<GridCell, 'nonlinearity' | 'inputScale' | 'timeSteps'> & { starts?: readonly string[] };

interface GridPlan {
  hiddenSizes: readonly number[];
  blocks(length: number): readonly Block[];
}

export const gridPlans: Record<GridPart['plan'], GridPlan> = {
  quick: {
    hiddenSizes: [20, 64, 256],
    blocks: (timeSteps) => [1, 0.1].map((inputScale) => ({ nonlinearity: 'tanh', inputScale, timeSteps })),
  },
  full: {
    hiddenSizes: [20, 64, 128, 256, 512],
    blocks: (timeSteps) => [
      ...(['tanh', 'relu'] as const).flatMap((nonlinearity) =>
        [1, 0.1, 0.01].map((inputScale) => ({ nonlinearity, inputScale, timeSteps })),
      ),
      { nonlinearity: 'tanh', inputScale: 1, timeSteps: 10 * timeSteps, starts: ['uniform', 'orthogonal ×1.5'] },
    ],
  },
};

export const gridSetUp = { inputSize: 10, sequences: 4, dtype: 'float64' } as const satisfies Partial<GridPart>;

/** Measures block by block, and adds the cells of a start and a number of units to `part.cells` when all their draws are done. */
export async function runGrid(part: GridPart, seed: number, progress: Progress, signal?: AbortSignal): Promise<void> {
  const plan = gridPlans[part.plan];
  const recurrences = recurrencesOf(part.cell);
  for (const hiddenSize of plan.hiddenSizes) {
    const runs = starts.map((start) => ({ start, blocks: blocksOf(plan, part, start) }));
    progress.begin(`Grid: ${hiddenSize} units`, runs.reduce((sum, { blocks }) => sum + blocks.length, 0) * part.draws);
    let done = 0;
    const before = part.cells.length;
    for (const { start, blocks } of runs) {
      const rates = blocks.map(() => recurrences.map((): number[] => []));
      for (let draw = 0; draw < part.draws; draw++) {
        const weights = drawWeights(start, { cell: part.cell, inputSize: part.inputSize, hiddenSize }, seedOf(seed, draw));
        for (const [b, block] of blocks.entries()) {
          await setImmediate();
          signal?.throwIfAborted();
          const input = drawInput(part, block, seedOf(seed, draw) + 1);
          for (const [p, { name }] of recurrences.entries()) {
            rates[b]?.[p]?.push(measure({ ...block, placement: name, hiddenSize, cell: part.cell }, weights, input));
          }
          progress.advance(++done);
        }
      }
      for (const [b, block] of blocks.entries()) part.cells.push(...cellsOf(part, block, start, hiddenSize, rates[b] as number[][]));
    }
    progress.end(outcome(part.cells.slice(before)));
  }
}

function blocksOf(plan: GridPlan, { timeSteps, cell }: GridPart, { name }: Start): Block[] {
  const blocks = plan.blocks(timeSteps).filter((block) => block.starts?.includes(name) ?? true);
  // Cells with gates have no other nonlinearity.
  return cell === 'rnn' ? blocks : blocks.filter(({ nonlinearity }) => nonlinearity === 'tanh');
}

/** Of one draw; the same for every number of units, so that these are compared on the same data. */
function seedOf(seed: number, draw: number): number {
  return 1000 * (seed + 1) + 2 * draw;
}

function drawInput({ sequences, inputSize, dtype }: GridPart, { timeSteps, inputScale }: Block, seed: number): Tensor {
  const input = Tensor.randn([sequences, timeSteps, inputSize], { dtype, generator: new Generator(seed) });
  for (let i = 0; i < input.data.length; i++) input.data[i] = inputScale * (input.data[i] as number);
  return input;
}

type Design = Pick<GridCell, 'placement' | 'nonlinearity' | 'hiddenSize'> & { cell: StudyCell };

function measure({ placement, nonlinearity, hiddenSize, cell }: Design, weights: Record<string, Tensor>, input: Tensor): number {
  const inputSize = input.shape[2] as number;
  const layers = placedLayers(placement, { cell, inputSize, hiddenSize, nonlinearity, dtype: 'float64', returnSequences: false });
  const rnn = layers.rnn as RecurrentLayer<unknown>;
  rnn.loadStateDict({ ...rnn.stateDict(), ...weights });
  const [flow] = gradientFlow(new Sequential(layers), input).layers;
  return flow?.growthRate ?? Number.NaN;
}

function cellsOf({ inputSize, cell }: GridPart, block: Block, start: Start, hiddenSize: number, rates: readonly number[][]): GridCell[] {
  const { nonlinearity, inputScale, timeSteps } = block;
  const recurrences = recurrencesOf(cell);
  const plain = rates[recurrences.findIndex(({ name }) => name === 'none')] as number[];
  return recurrences.map(({ name: placement }, p) => {
    const own = rates[p] as number[];
    const growth = meanOfDraws(own);
    return {
      placement,
      initializer: start.name,
      nonlinearity,
      hiddenSize,
      inputScale,
      timeSteps,
      growth,
      overNone: meanOfDraws(own.map((rate, draw) => rate - (plain[draw] as number))),
      meanField:
        start.variance === undefined || cell !== 'rnn'
          ? null
          : meanFieldRate({ placement, nonlinearity, hiddenSize, inputSize, inputScale, recurrentVariance: start.variance }),
    };
  });
}

function outcome(cells: readonly GridCell[]): string {
  const growing = cells.filter(grows).toSorted((a, b) => b.growth.mean - a.growth.mean);
  const [first] = growing;
  const fastest =
    first === undefined ? '' : `, fastest ${first.placement}, ${first.initializer}: ${formatSigned(first.growth.mean, 3)} a step`;
  return `gradients grow in ${growing.length} of ${cells.length} cells${fastest}`;
}

/** Whether chance alone is an unlikely reason for the gradient to grow: the interval of its rate lies above 0. */
export function grows({ growth }: Pick<GridCell, 'growth'>): boolean {
  return growth.interval[0] > 0;
}
