import { Adam, AdamW, Optimizer, type OptimizerArrays, Parameter, RMSprop, SGD, Tensor } from '../../lib/index';
import { detach, expectRefused } from '../helpers/errors';

const parameter = (value: number[], grad: number[], name = 'w') =>
  new Parameter(name, Tensor.from(value, { dtype: 'float64' }), Tensor.from(grad, { dtype: 'float64' }));

type Make = (parameters: readonly Parameter[]) => Optimizer;
const optimizers: [string, Make, string[]][] = [
  ['SGD', (parameters) => new SGD(parameters, { learningRate: 0.1 }), []],
  ['SGD with momentum', (parameters) => new SGD(parameters, { learningRate: 0.1, momentum: 0.9, nesterov: true }), ['momentum_buffer']],
  ['Adam', (parameters) => new Adam(parameters), ['exp_avg', 'exp_avg_sq']],
  ['AdamW', (parameters) => new AdamW(parameters, { weightDecay: 0.1 }), ['exp_avg', 'exp_avg_sq']],
  ['RMSprop', (parameters) => new RMSprop(parameters), ['square_avg']],
  ['RMSprop with momentum', (parameters) => new RMSprop(parameters, { momentum: 0.9 }), ['square_avg', 'momentum_buffer']],
];

test('one step of each by hand', () => {
  const after = (make: Make) => {
    const w = parameter([2], [0.5]);
    make([w]).step();
    return w.value.data[0] as number;
  };
  expect(after((p) => new SGD(p, { learningRate: 0.1 }))).toBeCloseTo(2 - 0.05, 14);
  expect(after((p) => new SGD(p, { learningRate: 0.1, weightDecay: 0.2 }))).toBeCloseTo(2 - 0.1 * 0.9, 14);
  expect(after((p) => new SGD(p, { learningRate: 0.1, momentum: 0.9, nesterov: true }))).toBeCloseTo(2 - 0.1 * (0.5 + 0.9 * 0.5), 14);
  expect(after((p) => new Adam(p, { learningRate: 0.1 }))).toBeCloseTo(2 - (0.1 * 0.5) / (0.5 + 1e-8), 14);
  expect(after((p) => new AdamW(p, { learningRate: 0.1 }))).toBeCloseTo(2 * (1 - 0.1 * 0.01) - (0.1 * 0.5) / (0.5 + 1e-8), 14);
  expect(after((p) => new RMSprop(p, { learningRate: 0.1 }))).toBeCloseTo(2 - (0.1 * 0.5) / (Math.sqrt(0.01 * 0.25) + 1e-8), 14);
});

describe.each(optimizers)('%s', (_, make, stateNames) => {
  const parameters = () => [parameter([1, 2, 3], [0.1, -0.2, 0.3], 'a'), new Parameter('b', Tensor.from([[1]]), Tensor.from([[2]]))];

  test('trains parameters of both dtypes, and leaves their gradients alone', () => {
    const list = parameters();
    make(list).step();
    expect(list.every(({ value }, i) => value.data.every((x, j) => x !== parameters()[i]?.value.data[j]))).toBe(true);
    expect(list.map(({ grad }) => grad)).toEqual(parameters().map(({ grad }) => grad));
  });

  test('zeroGrad clears every gradient', () => {
    const list = parameters();
    make(list).zeroGrad();
    expect(list.map(({ grad }) => [...grad.data])).toEqual([[0, 0, 0], [0]]);
  });

  test('its state dict holds tensors alone, under the names of the parameters', () => {
    const optimizer = make(parameters());
    const names = ['0.a', '1.b'].flatMap((name) => stateNames.map((stateName) => `${name}.${stateName}`));
    expect(Object.keys(optimizer.stateDict())).toEqual(['step', 'learning_rate', ...names]);
    expect(Object.values(optimizer.stateDict()).every((tensor) => Tensor.isTensor(tensor))).toBe(true);
  });

  test('a run that was saved and loaded goes on as if it had not been', () => {
    const [straight, resumed] = [parameters(), parameters()];
    const whole = make(straight);
    const first = make(resumed);
    first.learningRate = whole.learningRate = 0.05;
    for (let i = 0; i < 6; i++) whole.step();
    for (let i = 0; i < 3; i++) first.step();
    const second = make(resumed);
    second.loadStateDict(first.stateDict());
    for (let i = 0; i < 3; i++) second.step();
    expect(resumed).toEqual(straight);
    expect(second.stateDict()).toEqual(whole.stateDict());
  });

  test('loading is strict', () => {
    const optimizer = make(parameters());
    const state = optimizer.stateDict();
    expectRefused(() => optimizer.loadStateDict({}), 'ERR_STATE', 'Missing: step, learning_rate');
    const scalar = (value: number) => new Tensor(Float64Array.of(value), []);
    expectRefused(() => optimizer.loadStateDict({ ...state, learning_rate: scalar(-1) }), 'ERR_OPTION', 'state["learning_rate"]');
    expectRefused(() => optimizer.loadStateDict({ ...state, step: scalar(1.5) }), 'ERR_OPTION', 'state["step"]: expected a whole number');
    expectRefused(() => optimizer.loadStateDict({ ...state, step: Tensor.from([1], { dtype: 'float64' }) }), 'ERR_SHAPE', 'state["step"]');
    expect(optimizer.stateDict()).toEqual(make(parameters()).stateDict());
  });

  test('a buffer that is gone is found before anything is changed', () => {
    const list = parameters();
    const optimizer = make(list);
    detach((list[1] as Parameter).grad.data);
    expectRefused(() => optimizer.step(), 'ERR_STATE', 'gradient of b');
    expectRefused(() => optimizer.zeroGrad(), 'ERR_STATE', 'gradient of b');
    expect(list[0]).toEqual(parameters()[0]);
  });

  test('refuses the same parameter twice, and anything that is none', () => {
    const [a] = parameters() as [Parameter];
    expectRefused(() => make([a, a]), 'ERR_OPTION', 'parameters[1]: expected each parameter once');
    expectRefused(() => make([]), 'ERR_OPTION', 'at least one Parameter');
    expectRefused(() => make([a.value] as unknown as Parameter[]), 'ERR_OPTION', 'parameters[0]');
  });

  test('the learning rate can be set, within bounds', () => {
    const list = parameters();
    const optimizer = make(list);
    optimizer.learningRate = 0;
    expect(optimizer.learningRate).toBe(0);
    optimizer.step();
    expect(list).toEqual(parameters());
    for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY, '1']) {
      expectRefused(
        () => {
          optimizer.learningRate = bad as number;
        },
        'ERR_OPTION',
        'learningRate: expected a finite number at least 0',
      );
    }
    expect(optimizer.learningRate).toBe(0);
  });
});

test('defaults are those of PyTorch', () => {
  const list = () => [parameter([1], [1])];
  expect(new Adam(list()).learningRate).toBe(1e-3);
  expect(new AdamW(list()).learningRate).toBe(1e-3);
  expect(new RMSprop(list()).learningRate).toBe(1e-2);
});

test.each<[string, () => Optimizer, string]>([
  ['no learning rate', () => new SGD([parameter([1], [1])], {} as { learningRate: number }), 'learningRate: expected a finite number'],
  [
    'nesterov alone',
    () => new SGD([parameter([1], [1])], { learningRate: 1, nesterov: true }),
    'momentum: expected a number above 0 for nesterov',
  ],
  ['a negative momentum', () => new SGD([parameter([1], [1])], { learningRate: 1, momentum: -1 }), 'momentum'],
  ['a misspelt option', () => new Adam([parameter([1], [1])], { beta: [0, 0] } as object), 'Did you mean "betas"?'],
  [
    'a beta of 1',
    () => new Adam([parameter([1], [1])], { betas: [0.9, 1] }),
    'betas[1]: expected a finite number at least 0 and below 1, got 1',
  ],
  ['one beta', () => new Adam([parameter([1], [1])], { betas: [0.9] as unknown as [number, number] }), 'betas: expected two numbers'],
  ['a negative eps', () => new AdamW([parameter([1], [1])], { eps: -1 }), 'eps'],
  ['a negative decay', () => new AdamW([parameter([1], [1])], { weightDecay: -1 }), 'weightDecay'],
  [
    'an alpha above 1',
    () => new RMSprop([parameter([1], [1])], { alpha: 1.1 }),
    'alpha: expected a finite number at least 0 and at most 1',
  ],
])('refuses %s', (_, make, text) => {
  expectRefused(make, 'ERR_OPTION', text);
});

test('an optimiser of your own has state too', () => {
  class Signs extends Optimizer {
    constructor(parameters: readonly Parameter[]) {
      super(parameters, 0.5, ['count']);
    }
    protected override update({ values, grads, state: [counts] }: OptimizerArrays, learningRate: number, step: number): void {
      for (const [index, value] of values.entries()) {
        for (let i = 0; i < value.length; i++) value[i] = (value[i] as number) - learningRate * Math.sign(grads[index]?.[i] as number);
        counts?.[index]?.fill(step);
      }
    }
  }
  const w = parameter([1, 2], [-3, 4]);
  const optimizer = new Signs([w]);
  optimizer.step();
  optimizer.step();
  expect(w.value.toArray()).toEqual([2, 1]);
  expect(optimizer.stateDict()['0.w.count']?.toArray()).toEqual([2, 2]);
  expect([Optimizer.isOptimizer(optimizer), Optimizer.isOptimizer(new Proxy(optimizer, {})), Optimizer.isOptimizer(null)]).toEqual([
    true,
    false,
    false,
  ]);
});

describe('groups of parameters', () => {
  const two = () => [parameter([1, 2], [0.5, -0.5], 'a'), parameter([3], [0.25], 'b')] as const;

  test('each has the options that it gives, and those of the optimiser else', () => {
    const [a, b] = two();
    const optimizer = new SGD(
      [
        { parameters: [a], weightDecay: 0.5 },
        { parameters: [b], learningRate: 1 },
      ],
      { learningRate: 0.1 },
    );
    optimizer.step();
    expect(a.value.toArray()).toEqual([1 - 0.1 * (0.5 + 0.5), 2 - 0.1 * (-0.5 + 1)]);
    expect(b.value.toArray()).toEqual([2.75]);
    expect(optimizer.groups.map((group) => group.learningRate)).toEqual([0.1, 1]);
    optimizer.learningRate = 0.2;
    (optimizer.groups[1] as { learningRate: number }).learningRate = 0.5;
    expect(optimizer.groups.map((group) => group.learningRate)).toEqual([0.2, 0.5]);
    expectRefused(
      () => {
        (optimizer.groups[0] as { learningRate: number }).learningRate = 1;
      },
      'ERR_STATE',
      'groups[0].learningRate',
    );
    expect(optimizer.parameters()).toEqual([a, b]);
  });

  test('their state goes on, with learning rates', () => {
    const make = (list: readonly Parameter[]) =>
      new Adam([
        { parameters: [list[0] as Parameter], amsgrad: true },
        { parameters: [list[1] as Parameter], learningRate: 0.01 },
      ]);
    const [straight, resumed] = [two(), two()];
    const [whole, first] = [make(straight), make(resumed)];
    expect(Object.keys(whole.stateDict())).toEqual([
      ...['step', 'learning_rate', '0.a.exp_avg', '0.a.exp_avg_sq', '0.a.max_exp_avg_sq'],
      ...['groups.1.learning_rate', '1.b.exp_avg', '1.b.exp_avg_sq'],
    ]);
    for (const optimizer of [whole, first]) (optimizer.groups[1] as { learningRate: number }).learningRate = 0.5;
    for (let i = 0; i < 4; i++) whole.step();
    first.step();
    first.step();
    const second = make(resumed);
    second.loadStateDict(first.stateDict());
    second.step();
    second.step();
    expect(resumed).toEqual(straight);
    const negative = { ...second.stateDict(), 'groups.1.learning_rate': new Tensor(Float64Array.of(-1), []) };
    expectRefused(() => second.loadStateDict(negative), 'ERR_OPTION', 'groups.1.learning_rate');
  });

  test('what is wrong is named by its group, and a state that is gone stops the step of all', () => {
    const [a, b] = two();
    const groups = (extra: object) => [{ parameters: [a] }, { parameters: [b], ...extra }];
    expectRefused(() => new Adam(groups({ eps: -1 })), 'ERR_OPTION', 'parameters[1].eps');
    expectRefused(() => new Adam(groups({ learningRate: -1 })), 'ERR_OPTION', 'parameters[1].learningRate');
    expectRefused(() => new Adam(groups({ weightDecey: 1 })), 'ERR_OPTION', 'Did you mean "weightDecay"?');
    expectRefused(() => new Adam(groups({ parameters: [a] })), 'ERR_OPTION', 'expected each parameter once');
    expectRefused(
      () => new SGD(groups({ momentum: 0.9, nesterov: true, dampening: 0.1 }), { learningRate: 1 }),
      'ERR_OPTION',
      '[1].dampening',
    );
    const optimizer = new Adam(groups({}));
    detach(optimizer.stateDict()['1.b.exp_avg']?.data as Float64Array);
    expectRefused(() => optimizer.step(), 'ERR_STATE', 'exp_avg');
    expect(a.value.toArray()).toEqual([1, 2]);
  });
});
