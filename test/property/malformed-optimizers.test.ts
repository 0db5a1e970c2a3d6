// Malformed arguments of optimisers and clippers: see calls.ts.
import {
  Adam,
  AdamW,
  AdaptiveGradientClipping,
  AutoClip,
  type Clipper,
  CosineAnnealingLR,
  clipGradNorm,
  clipGradValue,
  LinearLR,
  OneCycleLR,
  type Parameter,
  ReduceLROnPlateau,
  RMSprop,
  type Schedule,
  SequentialLR,
  SGD,
  StepLR,
  Tensor,
  ZClip,
} from '../../lib/index';
import {
  type Accepts,
  type Call,
  hasNoKeys,
  isBoolean,
  isInteger,
  isNumber,
  isReadableArray,
  never,
  optional,
  parameter,
  testCalls,
} from './calls';

const optimizerCall = (
  make: (parameters: Parameter[], options: object) => unknown,
  good: object,
  places: Record<string, Accepts>,
): Call => ({
  make: () => [[parameter()], { ...good }],
  call: (parameters, options) => make(parameters as Parameter[], options as object),
  places: { 0: never, ...places },
  probe: ([parameters]) => (parameters as Parameter[]).map(({ value }) => value.toArray()),
});
// Of float64, which the parameters are in.
const LARGEST = Number.MAX_VALUE;
const adamPlaces = {
  1: optional(hasNoKeys),
  '1.learningRate': optional(isNumber(0, LARGEST)),
  '1.betas': optional((value) => isReadableArray(value) && (value as unknown[]).every(isNumber(0, 1))),
  '1.eps': optional(isNumber(0, LARGEST)),
  '1.weightDecay': optional(isNumber(0, LARGEST)),
  '1.amsgrad': optional(isBoolean),
  '1.maximize': optional(isBoolean),
};

const isPositive: Accepts = (value) => isNumber(Number.MIN_VALUE)(value);
const isFloat64Scalar: Accepts = (value) => Tensor.isTensor(value) && value.dtype === 'float64' && value.shape.length === 0;
const clipperCall = (make: (options: object) => Clipper, places: Record<string, Accepts>): Call => ({
  make: () => [[parameter()], {}],
  call: (parameters, options) => make(options as object).clip(parameters as Parameter[]),
  places: { 0: never, 1: optional(hasNoKeys), ...places },
  probe: ([parameters]) => (parameters as Parameter[]).map(({ grad }) => grad.toArray()),
});
const watched = <C extends Clipper>(clipper: C): C => {
  clipper.clip([parameter()]);
  return clipper;
};

const isCount = isInteger(1, Number.MAX_SAFE_INTEGER);
/** A schedule from options, and something else that it takes. */
const scheduleCall = (
  make: (options: never, other: never) => unknown,
  good: object,
  other: unknown,
  places: Record<string, Accepts>,
): Call => ({
  make: () => [{ ...good }, other],
  call: (options, other) => make(options as never, other as never),
  places: { 0: Object.keys(good).length > 0 ? never : optional(hasNoKeys), ...places },
});
/** What a schedule is asked for. */
const timeCall = (schedule: Schedule): Call => ({
  make: () => [3, 0.1],
  call: (step, initial) => schedule.learningRate(step as number, initial as number),
  places: { 0: isNumber(0), 1: isNumber(0) },
});
const isEmpty: Accepts = (value) => isReadableArray(value) && (value as unknown[]).length === 0;

testCalls({
  'StepLR.learningRate': timeCall(new StepLR({ stepSize: 2 })),
  'LinearLR.learningRate': timeCall(new LinearLR()),
  'CosineAnnealingLR.learningRate': timeCall(new CosineAnnealingLR({ tMax: 2 })),
  'OneCycleLR.learningRate': timeCall(new OneCycleLR({ totalSteps: 9 })),
  'SequentialLR.learningRate': timeCall(new SequentialLR([new LinearLR(), new StepLR({ stepSize: 2 })], [4])),
  'new StepLR': scheduleCall((options) => new StepLR(options), { stepSize: 2 }, undefined, {
    '0.stepSize': isCount,
    '0.gamma': optional(isNumber(0)),
  }),
  'new LinearLR': scheduleCall((options, milestones) => new SequentialLR([new LinearLR(options)], milestones), {}, [], {
    1: isEmpty,
    '0.startFactor': optional(isNumber(Number.MIN_VALUE, 1)),
    '0.endFactor': optional(isNumber(0, 1)),
    '0.totalIters': optional(isCount),
  }),
  'new CosineAnnealingLR': scheduleCall((options) => new CosineAnnealingLR(options), { tMax: 2 }, undefined, {
    '0.tMax': isCount,
    '0.minLearningRate': optional(isNumber(0)),
  }),
  'new OneCycleLR': scheduleCall((options) => new OneCycleLR(options), { totalSteps: 9 }, undefined, {
    '0.totalSteps': isCount,
    '0.maxLearningRate': optional(isNumber(0)),
    '0.pctStart': optional(isNumber(0, 1)),
    '0.annealStrategy': optional(never),
    '0.divFactor': optional(isNumber(Number.MIN_VALUE)),
    '0.finalDivFactor': optional(isNumber(Number.MIN_VALUE)),
    '0.threePhase': optional(isBoolean),
  }),
  'new SequentialLR': {
    make: () => [[new StepLR({ stepSize: 1 }), new LinearLR()], [3]],
    call: (schedules, milestones) => new SequentialLR(schedules as Schedule[], milestones as number[]),
    places: { 0: never, 1: (value) => isReadableArray(value) && (value as number[]).length === 1 && isCount((value as number[])[0]) },
  },
  'new ReduceLROnPlateau': scheduleCall((options, value) => new ReduceLROnPlateau(options).observe(value, 1), {}, 1, {
    1: (value) => typeof value === 'number',
    '0.monitor': optional((value) => typeof value === 'string' && value !== ''),
    '0.mode': optional(never),
    '0.factor': optional(isNumber(0, 1 - 2 ** -53)),
    '0.patience': optional(isInteger(0, Number.MAX_SAFE_INTEGER)),
    '0.threshold': optional(isNumber(0)),
    '0.thresholdMode': optional(never),
    '0.cooldown': optional(isInteger(0, Number.MAX_SAFE_INTEGER)),
    '0.minLearningRate': optional(isNumber(0)),
    '0.eps': optional(isNumber(0)),
  }),
  'ReduceLROnPlateau.observe': {
    make: () => [new ReduceLROnPlateau(), 1, [0.1]],
    call: (schedule, value, rates) => (schedule as ReduceLROnPlateau).observe(value as number, rates as number[]),
    places: {
      1: (value) => typeof value === 'number',
      2: (value) => isNumber(0)(value) || (isReadableArray(value) && (value as number[]).every(isNumber(0))),
    },
  },
  'ReduceLROnPlateau.loadStateDict': {
    make: () => [new ReduceLROnPlateau(), new ReduceLROnPlateau().stateDict()],
    call: (schedule, state) => (schedule as ReduceLROnPlateau).loadStateDict(state as Record<string, Tensor>),
    places: { 1: never, '1.best': (value) => Tensor.isTensor(value) && value.dtype === 'float64' && value.shape.length === 0 },
    probe: ([schedule]) => (schedule as ReduceLROnPlateau).stateDict(),
  },
  'new SGD': optimizerCall(
    (parameters, options) => new SGD(parameters, options as { learningRate: number }),
    { learningRate: 0.1, momentum: 0.5 },
    {
      1: never,
      '1.learningRate': isNumber(0, LARGEST),
      '1.momentum': optional(isNumber(0, LARGEST)),
      '1.dampening': optional(isNumber(-LARGEST, LARGEST)),
      '1.nesterov': optional(isBoolean),
      '1.weightDecay': optional(isNumber(0, LARGEST)),
      '1.maximize': optional(isBoolean),
    },
  ),
  'new Adam': optimizerCall((parameters, options) => new Adam(parameters, options), {}, adamPlaces),
  'new AdamW': optimizerCall((parameters, options) => new AdamW(parameters, options), {}, adamPlaces),
  'new RMSprop': optimizerCall(
    (parameters, options) => new RMSprop(parameters, options),
    {},
    {
      1: optional(hasNoKeys),
      '1.learningRate': optional(isNumber(0, LARGEST)),
      '1.alpha': optional(isNumber(0, 1)),
      '1.eps': optional(isNumber(0, LARGEST)),
      '1.weightDecay': optional(isNumber(0, LARGEST)),
      '1.momentum': optional(isNumber(0, LARGEST)),
      '1.centered': optional(isBoolean),
      '1.maximize': optional(isBoolean),
    },
  ),
  'optimizer.learningRate': {
    make: () => [new Adam([parameter()]), 0.1],
    call(optimizer, value) {
      (optimizer as Adam).learningRate = value as number;
    },
    places: { 1: isNumber(0, LARGEST) },
    probe: ([optimizer]) => (optimizer as Adam).learningRate,
  },
  'optimizer.loadStateDict': {
    make() {
      const optimizer = new Adam([parameter()]);
      return [optimizer, { ...optimizer.stateDict() }];
    },
    call: (optimizer, state) => (optimizer as Adam).loadStateDict(state as Record<string, Tensor>),
    places: {
      1: never,
      '1.step': (value) => Tensor.isTensor(value) && value.shape.length === 0,
      '1.learning_rate': (value) => Tensor.isTensor(value) && value.shape.length === 0,
      '1.0.w.exp_avg': never,
    },
    probe([optimizer]) {
      const subject = optimizer as Adam;
      subject.step();
      return [subject.parameters()[0]?.value.toArray(), subject.learningRate];
    },
  },
  clipGradNorm: {
    make: () => [[parameter()], { maxNorm: 1e-3 }],
    call: (parameters, options) => clipGradNorm(parameters as Parameter[], options as { maxNorm: number }),
    places: {
      0: never,
      1: never,
      '1.maxNorm': isNumber(0, Infinity),
      '1.normType': optional((value) => value === 1 || value === 2 || value === Number.POSITIVE_INFINITY),
      '1.nonFinite': optional(never),
    },
    probe: ([parameters]) => (parameters as Parameter[]).map(({ grad }) => grad.toArray()),
  },
  clipGradValue: {
    make: () => [[parameter()], { clipValue: 1e-3 }],
    call: (parameters, options) => clipGradValue(parameters as Parameter[], options as { clipValue: number }),
    places: { 0: never, 1: never, '1.clipValue': isNumber(0) },
    probe: ([parameters]) => (parameters as Parameter[]).map(({ grad }) => grad.toArray()),
  },
  'new AdaptiveGradientClipping': clipperCall((options) => new AdaptiveGradientClipping(options), {
    '1.ratio': optional(isPositive),
    '1.eps': optional(isPositive),
  }),
  'new AutoClip': clipperCall((options) => new AutoClip(options), { '1.percentile': optional(isNumber(0, 100)) }),
  'new ZClip': clipperCall((options) => new ZClip(options), {
    '1.alpha': optional(isNumber(0, 1 - 2 ** -53)),
    '1.zThreshold': optional(isPositive),
    '1.warmupSteps': optional(isInteger(1, Number.MAX_SAFE_INTEGER)),
  }),
  'AutoClip.loadStateDict': {
    make: () => [new AutoClip(), { ...watched(new AutoClip()).stateDict() }],
    call: (clipper, state) => (clipper as AutoClip).loadStateDict(state as Record<string, Tensor>),
    places: { 1: never, '1.history': (value) => Tensor.isTensor(value) && value.dtype === 'float64' && value.shape.length === 1 },
    probe: ([clipper]) => (clipper as AutoClip).clip([parameter()]),
  },
  'ZClip.loadStateDict': {
    make: () => [new ZClip(), { ...watched(new ZClip()).stateDict() }],
    call: (clipper, state) => (clipper as ZClip).loadStateDict(state as Record<string, Tensor>),
    places: { 1: never, '1.steps': isFloat64Scalar, '1.mean': isFloat64Scalar, '1.variance': isFloat64Scalar },
    probe: ([clipper]) => (clipper as ZClip).clip([parameter()]),
  },
});
