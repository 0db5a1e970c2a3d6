import { checkBoolean, checkOneOf, readOptions } from '../check';
import { EvenkeelError, formatShape } from '../errors';
import { carriedStateOf, loadCarriedStateOf } from '../layers/carried-state';
import { LastStep } from '../layers/last-step';
import type { Layer } from '../layers/layer';
import type { RecurrentLayer } from '../layers/recurrent/recurrent-layer';
import type { StateFlow } from '../layers/recurrent/state-flow';
import { mseLoss } from '../losses/mse';
import { Generator } from '../random';
import { checkTensor, Tensor } from '../tensor';
import { describeCourse, type GradientFlow, type LayerFlow } from './flow';
import { recurrentLayers } from './recurrent-layers';

/** Options of {@link gradientFlow}. */
export interface GradientFlowOptions {
  /**
   * What the mean squared error is taken from, of the output's shape; a loss on the last step takes [N, F], or the last step of [N, T, F].
   * Left out, standard normal numbers, the same at every call.
   */
  target?: Tensor;
  /**
   * `'last-step'` unless given: the loss is on the last step alone, so that what arrives at step t has come T − t steps. With
   * `'all-steps'` every step adds its own, as in training on whole sequences.
   */
  loss?: 'last-step' | 'all-steps';
  /** whether the result has the norms of each sequence as well; false unless given */
  perSequence?: boolean;
}

/**
 * How the gradient flows back through time: ln‖∂L/∂h_t‖ at every step of every recurrent layer, its growth per step, and a verdict, from one
 * ordinary forward and backward pass. ∂L/∂h_t is the total derivative by the state that step t hands to step t + 1. No number of steps makes it
 * overflow or underflow.
 *
 * The rate is the mean over sequences of the least-squares slope of ln‖∂L/∂h_t‖ over the distance T − t; {@link Growth} says how rate, error,
 * verdict and horizon are found. They are of these weights: for a statement on the design, repeat it with other seeds.
 *
 * Values and gradients of parameters, and the states that layers carry, stay as they were. To the layers it is a forward and a backward call:
 * one that waits for its backward pass must do its forward call again.
 *
 * @param model a recurrent layer, or a Sequential that holds some; its output is [N, T, F], or [N, F] where it ends on the last step
 * @param input x [N, T, I], at least three steps
 * @returns an entry per recurrent layer, in the model's order
 * @throws EvenkeelError ERR_OPTION for a model without a recurrent layer, ERR_SHAPE, ERR_DTYPE, ERR_NON_FINITE for a loss that is not finite
 *
 * @example
 * const rnn = new RNN({ inputSize: 10, hiddenSize: 256, normalization: 'hidden' });
 * const [{ growthRate, growthRateInterval, verdict, horizon }] = gradientFlow(rnn, Tensor.randn([32, 200, 10])).layers;
 */
export function gradientFlow(model: Layer, input: Tensor, options: GradientFlowOptions = {}): GradientFlow {
  const given = readOptions('gradientFlow options', options, ['target', 'loss', 'perSequence'], { loss: 'last-step', perSequence: false });
  const loss = checkOneOf('loss', given.loss, ['last-step', 'all-steps']);
  const perSequence = checkBoolean('perSequence', given.perSequence);
  const layers = recurrentLayers('model', model);
  checkLongEnough('input', checkTensor('input', input));
  const carried = carriedStateOf(model);
  const gradients = model.parameters().map(({ grad }) => ({ grad, before: grad.data.slice() }));
  try {
    const pass = () => model.backward(outputGradient(model.forward(input), loss, given.target), { inputGradient: false });
    const { flow } = recordFlow(layers, pass);
    return flow(perSequence);
  } finally {
    for (const { grad, before } of gradients) grad.data.set(before);
    loadCarriedStateOf(model, carried);
  }
}

/**
 * A rate with its error needs two increments.
 * @param hint a full sentence
 * @internal
 */
export function checkLongEnough(argument: string, { shape }: Tensor, hint?: string): void {
  if (shape.length === 3 && (shape[1] as number) >= 3) return;
  throw new EvenkeelError(
    'ERR_SHAPE',
    `${argument}: expected [N, T, I] with T of at least 3, got ${formatShape(shape)}.${hint === undefined ? '' : ` ${hint}`}`,
  );
}

/**
 * Runs `passes`, a forward and a backward pass, and can then say how the gradient flowed in it.
 * @internal
 */
export function recordFlow<Result>(
  layers: ReadonlyMap<string, RecurrentLayer<unknown>>,
  passes: () => Result,
): { result: Result; flow: (perSequence?: boolean) => GradientFlow } {
  const recorded = [...layers.values()].filter((layer) => !layer.recordStateGradients);
  try {
    for (const layer of recorded) layer.recordStateGradients = true;
    return { result: passes(), flow: (perSequence = false) => describeLayers(layers, perSequence) };
  } finally {
    for (const layer of recorded) layer.recordStateGradients = false;
  }
}

function describeLayers(layers: ReadonlyMap<string, RecurrentLayer<unknown>>, perSequence: boolean): GradientFlow {
  return { layers: [...layers].flatMap(([name, layer]) => describeLayer(name, layer, perSequence)) };
}

/** Of several layers and directions one entry for each, named by where it stands. */
function describeLayer(name: string, layer: RecurrentLayer<unknown>, perSequence: boolean): LayerFlow[] {
  const flows = layer.stateFlows('gradientFlow');
  return flows.map((flow) => describeFlow(flows.length === 1 ? name : `${name}.${flow.suffix}`, flow, perSequence));
}

function describeFlow(name: string, flow: StateFlow, perSequence: boolean): LayerFlow {
  const parts = Object.entries(flow.parts).map(([key, ofPart]) => [key, describeCourse(ofPart, 'backwards')] as const);
  return {
    name,
    ...describeCourse(flow.gradients, 'backwards'),
    states: describeCourse(flow.states, 'forwards', lengthsOf(flow.gradients)),
    ...(parts.length > 1 ? { parts: Object.fromEntries(parts) } : {}),
    ...(perSequence ? { sequenceLogNorms: flow.gradients } : {}),
  };
}

/** How many steps of each sequence a gradient comes from; all where there is none. */
function lengthsOf({ data, shape }: Tensor): number[] {
  const [n, t] = shape as [number, number];
  return Array.from({ length: n }, (_, row) => {
    let length = t;
    while (length > 0 && data[row * t + length - 1] === Number.NEGATIVE_INFINITY) length--;
    return length === 0 ? t : length;
  });
}

/** ∂L/∂output of the mean squared error */
function outputGradient(output: Tensor, loss: 'last-step' | 'all-steps', target: unknown): Tensor {
  const { shape } = checkTensor('output of model.forward()', output);
  if (shape.length !== 2 && shape.length !== 3) {
    throw new EvenkeelError('ERR_SHAPE', `output of model.forward(): expected [N, T, F] or [N, F], got ${formatShape(shape)}.`);
  }
  if (loss === 'all-steps' && shape.length === 2) {
    throw new EvenkeelError(
      'ERR_SHAPE',
      `loss: expected 'last-step' for a model that puts out the last step alone, ${formatShape(shape)}, got 'all-steps'.`,
    );
  }
  if (loss === 'all-steps' || shape.length === 2) return lossGradient(output, target);
  const last = new LastStep();
  const isOfAllSteps = Tensor.isTensor(target) && target.shape.length === 3;
  const lastTarget = isOfAllSteps ? new LastStep().forward(checkTensor('target', target, output.dtype, shape)) : target;
  return last.backward(lossGradient(last.forward(output), lastTarget));
}

function lossGradient(output: Tensor, given: unknown): Tensor {
  const { dtype, shape } = output;
  const target =
    given === undefined ? Tensor.randn(shape, { dtype, generator: new Generator(0) }) : checkTensor('target', given, dtype, shape);
  const { value, grad } = mseLoss(output, target);
  if (!Number.isFinite(value)) {
    throw new EvenkeelError(
      'ERR_NON_FINITE',
      `gradientFlow: the loss is ${value}. Look at input and target for values that are not finite.`,
    );
  }
  return grad;
}
