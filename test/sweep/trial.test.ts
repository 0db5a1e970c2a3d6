import { join } from 'node:path';
import { Generator } from '../../lib/random';
import { runtimeInfo, setNumThreads } from '../../lib/runtime';
import { checkDefinition, type SweepDefinition } from '../../lib/sweep/definition';
import { trialsOf } from '../../lib/sweep/grid';
import { measureNames, runTrial } from '../../lib/sweep/measures';
import type { Trial } from '../../lib/sweep/trial';
import { buildModel } from '../../lib/sweep/trial-model';
import { smallCsv, useFolder } from '../cli/run-cli';
import { evenkeelError } from '../helpers/errors';

const folder = useFolder();

const sizes = [{ batchSize: 3, inputSize: 2, hiddenSize: 6 }];

/** The measures of every trial of a small grid. */
async function measure(definition: SweepDefinition) {
  const { grid, files } = checkDefinition({ sizes, steps: 8, ...definition }, folder.path);
  const results = [];
  for (const trial of trialsOf(grid)) results.push({ trial, ...(await runTrial(trial, [...files.values()][0])) });
  return results;
}

test.each(['reference', 'adding', 'copy'] as const)('the task %s is learnt from, and a seed decides everything', async (task) => {
  const definition = { lengths: [25], tasks: [task], seeds: [1, 2], steps: 60, learningRate: 0.01 };
  const [first, second] = await measure(definition);
  const [again] = await measure(definition);
  expect(again?.measures).toEqual(first?.measures);
  expect(second?.measures.lossFirst).not.toBe(first?.measures.lossFirst);
  expect(first?.measures.lossMin).toBeLessThan(0.95 * (first?.measures.lossFirst ?? 0));
  expect(Object.keys(first?.measures ?? {})).toEqual([...measureNames]);
});

test('a CSV series is forecast, and its file must be the one of the definition', async () => {
  folder.write('waves.csv', smallCsv());
  const [result] = await measure({ lengths: [10], tasks: [{ csv: 'waves.csv', target: 'sine' }], steps: 60, learningRate: 0.01 });
  expect(result?.measures.lossMin).toBeLessThan(0.5 * (result?.measures.lossFirst ?? 0));
  if (result === undefined) throw new Error('no trial');
  folder.write('other.csv', smallCsv().replace('0', '1'));
  await expect(runTrial(result.trial, join(folder.path, 'other.csv'))).rejects.toEqual(
    evenkeelError('ERR_FILE', 'waves.csv: expected the file as it was'),
  );
  await expect(runTrial(result.trial)).rejects.toEqual(evenkeelError('ERR_FILE', 'got none'));
});

test('weights depend on the seed alone: tasks, lengths and placements start from the same', async () => {
  const results = await measure({ lengths: [25, 30], placements: ['none', 'output'], tasks: ['reference'], steps: 1 });
  expect(new Set(results.map(({ measures }) => measures.lossFirst)).size).toBe(results.length);
  // The clip has no say in the first step's norm.
  const clipped = await measure({
    lengths: [25],
    clips: ['none', { maxNorm: 1e-3 }, { clipValue: 1e-3 }, 'adaptive', 'autoclip', 'zclip'],
  });
  expect(new Set(clipped.map(({ measures }) => measures.gradNormFirst)).size).toBe(1);
  expect(clipped[0]?.measures.clippedSteps).toBe(0);
  expect(clipped[1]?.measures.clippedSteps).toBe(8);
  expect(clipped[2]?.measures.clippedSteps).toBeGreaterThan(0);
  expect(clipped[3]?.measures.clippedSteps).toBeGreaterThan(0);
});

test.each(['layer', 'rms'] as const)('every placement of a normalisation of kind %s trains, each in its own way', async (kind) => {
  const placements = ['none', 'input', 'output', 'preactivation', 'split-preactivation', 'recurrent-input', 'hidden'] as const;
  const results = await measure({ lengths: [25], placements, kinds: [kind] });
  expect(results.map(({ trial }) => trial.placement)).toEqual(placements);
  expect(new Set(results.map(({ measures }) => measures.lossLast)).size).toBe(placements.length);
});

test.each(['none', 'split-preactivation', 'hidden', 'output'] as const)(
  'every cell with %s trains, and its gradient flow is measured',
  async (placement) => {
    const results = await measure({ lengths: [25], cells: ['rnn', 'lstm', 'gru'], placements: [placement], steps: 20 });
    expect(results.map(({ trial }) => trial.cell)).toEqual(['rnn', 'lstm', 'gru']);
    for (const { measures } of results) {
      expect(measures.lossLast).toBeLessThan(measures.lossFirst as number);
      expect(measures).toMatchObject({ growthRate: expect.any(Number), lyapunovLeader: expect.any(Number), divergedAt: null });
    }
    expect(new Set(results.map(({ measures }) => measures.lossFirst)).size).toBe(3);
  },
);

test('the gradient flows as its start has it: explodes from large weights, vanishes from small ones, whatever the number of threads', async () => {
  const definition: SweepDefinition = { lengths: [120], gains: [0.5, 1.5], recurrentInitializers: ['identity'], steps: 0 };
  const [small] = await measure(definition);
  // What tanh lets pass is less than all.
  expect(small?.measures).toMatchObject({ verdict: 'vanishing', growthRateError: expect.any(Number), horizon: expect.any(Number) });
  expect(small?.measures.growthRate).toBeLessThan(Math.log(0.5));
  expect(small?.measures.lyapunovLeader).toBeLessThan(Math.log(0.5));
  // And relu all or nothing.
  const [, large] = await measure({ ...definition, nonlinearities: ['relu'] });
  expect(large?.measures).toMatchObject({ verdict: 'exploding' });
  expect(large?.measures.growthRate).toBeCloseTo(Math.log(1.5), 1);
  expect(large?.measures.lyapunovLeader).toBeCloseTo(Math.log(1.5), 1);
  expect(small?.cpuKind).toEqual({ cpu: runtimeInfo().cpu, simdTarget: runtimeInfo().simdTarget, blas: runtimeInfo().blas });
  setNumThreads(1);
  const alone = await measure(definition);
  setNumThreads(2);
  const together = await measure(definition);
  expect(together.map(({ measures }) => measures)).toEqual(alone.map(({ measures }) => measures));
});

test('where there is no rate, there are nulls: too few steps, states beyond all numbers, a gradient that is zero', async () => {
  const [short] = await measure({ lengths: [2], steps: 1 });
  expect(short?.measures).toMatchObject({ growthRate: null, growthRateError: null, verdict: null, horizon: null });
  expect(short?.measures.gradNormFirst).toBeGreaterThan(0);
  const [endless] = await measure({
    lengths: [2000],
    gains: [10],
    nonlinearities: ['relu'],
    recurrentInitializers: ['identity'],
    steps: 1,
  });
  expect(endless?.measures).toMatchObject({ growthRate: null, verdict: null, divergedAt: 1 });
});

test('states that grow unseen are a result', async () => {
  const definition: SweepDefinition = { lengths: [120], placements: ['output'], recurrentInitializers: ['identity'], steps: 3 };
  const [calm] = await measure(definition);
  expect(calm?.measures.statesGrewAt).toBeNull();
  expect(calm?.measures.largestState).toBeLessThan(1);
  // 1.5¹²⁰ is 1.3e21.
  const [grown] = await measure({ ...definition, gains: [1.5], nonlinearities: ['relu'] });
  expect(grown?.measures).toMatchObject({ statesGrewAt: 1, divergedAt: null, lossLast: expect.any(Number) });
  expect(grown?.measures.largestState).toBeGreaterThan(1e19);
});

test('an initialiser of W_ih is that of the layer, and changes no other weight', async () => {
  const base = { lengths: [60], steps: 0 };
  const [plain] = await measure(base);
  const [same, scaled] = await measure({ ...base, inputInitializers: ['uniform', { name: 'uniform', gain: 2 }] });
  expect(same?.measures).toEqual(plain?.measures);
  const weights = (one: Trial) => buildModel(one, { everyStep: true, head: () => ({}) } as never, new Generator(1)).rnn.stateDict();
  const [before, after] = [weights(plain?.trial as Trial), weights(scaled?.trial as Trial)];
  expect(after.weight_ih_l0?.data).toEqual(before.weight_ih_l0?.data.map((value) => 2 * value));
  expect(after.weight_hh_l0).toEqual(before.weight_hh_l0);
  expect(scaled?.measures.growthRate).not.toBe(plain?.measures.growthRate);
});

test('no steps are no training', async () => {
  const [result] = await measure({ lengths: [5], steps: 0 });
  expect(result?.measures).toMatchObject({
    lossFirst: null,
    gradNormMax: null,
    clippedSteps: 0,
    divergedAt: null,
    largestState: null,
    statesGrewAt: null,
  });
  expect(result?.cost.stepsPerSecond).toBeNull();
});

test('lengths too short for a task are refused with both places', () => {
  expect(() => checkDefinition({ lengths: [30, 20], tasks: ['reference', 'copy'] }, '.')).toThrow(
    evenkeelError('ERR_OPTION', 'lengths[1] with tasks[1] "copy": expected an integer of at least 21, got 20.'),
  );
});
