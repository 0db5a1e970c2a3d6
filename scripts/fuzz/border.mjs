// The package as its users see it: every class and function that it exports, in any order, with arguments of every kind, on objects that live on from call to call.
// What is exported is asked for, not listed: see schemas.mjs. A case is some forty calls in one world of tensors, layers, optimisers and parameters.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EvenkeelError, internal, isTypedOrTheirs } from './calls.mjs';
import { membersOf } from './members.mjs';
import { json, number, Random, renameKeys, text } from './random.mjs';
import { learnOptions, optionNames } from './schemas.mjs';
import { SIGNATURES } from './signatures.mjs';
import { array, callback, detach, generator, hostile, SIZES, shape, tensor } from './values.mjs';
import { World } from './world.mjs';

const api = internal('index');
const { Tensor, Parameter } = api;

/** Those that start processes or networks, that have no use but as a base, and the error itself. */
const LEFT_OUT = new Set(['sweep', 'bullmqExecutor', 'localExecutor', 'EvenkeelError', 'Optimizer', 'BaseLayer']);
/** What the first has written, the other reads. */
const FOLLOWED_BY = { saveState: 'loadState', saveCheckpoint: 'loadCheckpoint' };
const CANDIDATES = [['options'], ['parameters', 'options'], [], ['parameters'], ['number']];

const isClass = (value) => typeof value === 'function' && Object.getOwnPropertyDescriptor(value, 'prototype')?.writable === false;

export async function prepare(folder, calls) {
  const exported = Object.entries(api).filter(([name, value]) => typeof value === 'function' && !LEFT_OUT.has(name));
  const learnt = new Map();
  writeFileSync(join(folder, 'table.csv'), `a,b\n${'1,2\n3,4\n5,7\n'.repeat(20)}`);

  /** Values that may be good for an option, by what options are about. */
  const valueFor = (_name, random) =>
    random.pick([
      () => random.pick(SIZES),
      () => random.chance(0.5),
      () => number(random),
      () => random.next(),
      () => generator(random),
      () => tensor(random),
      () => callback(random, {}),
      () => [random.next(), random.next()],
      () => random.pick(['float32', 'float64']),
      () => ({ placement: 'hidden', kind: 'rms' }),
      () => ({ every: 2 }),
      () => new Float64Array(3),
    ])();

  function learn(name, call) {
    if (!learnt.has(name)) {
      const names = optionNames(call);
      // Of a method the names alone: what it takes depends on its object, and a case must not depend on those before it.
      const accepted = names === undefined || name.includes('.') ? [] : learnOptions(call, names, valueFor);
      learnt.set(name, { names, accepted });
    }
    return learnt.get(name);
  }

  /** One set of options: a good one, with or without something else in it. */
  function optionsOf(world, name, call) {
    const { random } = world;
    const { names, accepted } = learn(name, call);
    if (names === undefined) return random.chance(0.8) ? undefined : hostile(random, world);
    const options = { ...(accepted.length > 0 ? random.pick(accepted) : {}) };
    if (names.includes('dtype') && random.chance(0.9)) options.dtype = world.dtype;
    if (random.chance(0.3)) options[random.pick(names)] = random.chance(0.5) ? valueFor('', random) : hostile(random, world);
    if (random.chance(0.1)) options[random.pick(names)] = world.anything(random);
    return options;
  }

  const parametersOf = new Map();
  function smallParameters() {
    return [new Parameter('a', Tensor.zeros([2, 3])), new Parameter('b', Tensor.zeros([3], { dtype: 'float64' }))];
  }

  /** For constructors: the signature that works, once for all. */
  function signatureOf(name, Class) {
    if (SIGNATURES[name] !== undefined) return SIGNATURES[name];
    if (!parametersOf.has(name)) parametersOf.set(name, CANDIDATES.find((candidate) => works(name, Class, candidate)) ?? []);
    return parametersOf.get(name);
  }

  function works(name, Class, candidate) {
    const construct = (options) =>
      new Class(...candidate.map((kind) => (kind === 'parameters' ? smallParameters() : kind === 'number' ? 1 : options)));
    if (candidate.includes('options')) {
      const names = optionNames(construct);
      if (names === undefined) return false;
      learn(`new ${name}`, construct);
      return true;
    }
    try {
      construct();
      return true;
    } catch (error) {
      return !(error instanceof EvenkeelError);
    }
  }

  const layerNames = exported.filter(([, value]) => isClass(value) && typeof value.prototype.forward === 'function').map(([name]) => name);

  function makeLayer(world, name = world.random.pick(layerNames)) {
    return construct(world, name, api[name]);
  }

  function construct(world, name, Class) {
    const signature = signatureOf(name, Class);
    const args = signature.map((kind) =>
      argument(world, kind, `new ${name}`, (options) => new Class(...(signature[0] === 'parameters' ? [smallParameters()] : []), options)),
    );
    const made = calls.run(`new ${name}`, () => new Class(...args));
    if (name === 'Sequential' && made !== undefined) world.inputSizes.set(made, Number(args[0]?.inputSize ?? 2));
    if (made?.recordStateGradients === false && world.random.chance(0.3)) made.recordStateGradients = true;
    world.keep(made);
    return made;
  }

  const anyLayer = (world) => (world.layers.length > 0 && world.random.chance(0.8) ? world.random.pick(world.layers) : makeLayer(world));

  /** An input that a layer may take. */
  function inputOf(world, layer) {
    const { random } = world;
    const size = layer?.inputSize ?? layer?.size ?? world.inputSizes.get(layer) ?? random.pick(SIZES);
    const sizes = random.chance(0.8) ? [random.pick(SIZES), random.pick(SIZES), size] : [random.pick(SIZES), size];
    return tensor(random, sizes, layer?.dtype ?? world.dtype);
  }

  function argument(world, kind, name, call, subject = undefined) {
    const { random } = world;
    if (random.chance(0.08)) return hostile(random, world);
    if (random.chance(0.04) && world.tensors.length > 0) return world.anything(random);
    switch (kind) {
      case 'options':
        return optionsOf(world, name, call);
      case 'array':
        return array(random, random.pick([0, 1, 2, 6, 12]));
      case 'shape':
        return random.pick([[2, 3], [6], [], [0, 3], shape(random)]);
      case 'text':
        return text(random);
      case 'number':
        return random.chance(0.7) ? random.below(40) : number(random);
      case 'threads':
        return random.pick([1, 2, 3]);
      case 'tensor':
        return world.tensors.length > 0 && random.chance(0.6)
          ? random.pick(world.tensors)
          : tensor(random, shape(random), random.chance(0.9) ? world.dtype : undefined);
      case 'input':
        return random.chance(0.9) ? inputOf(world, subject) : tensor(random);
      case 'gradOutput':
        return world.output !== undefined && random.chance(0.8)
          ? tensor(random, [...world.output.shape], world.output.dtype)
          : (world.tensors.at(-1) ?? tensor(random));
      case 'likeFirst':
        return Tensor.isTensor(world.last) && random.chance(0.8) ? tensor(random, [...world.last.shape], world.last.dtype) : tensor(random);
      case 'rows':
        return random.below(300);
      case 'rnn':
        return world.layers.find((layer) => layer instanceof api.RNN) ?? makeLayer(world, 'RNN');
      case 'labels':
        return random.pick([
          () => Int32Array.from({ length: rowsOf(world.last) }, () => random.below(3)),
          () => Int32Array.from({ length: random.below(20) }, () => random.below(4)),
          () => new Int32Array(new SharedArrayBuffer(4 * random.below(20))),
          () => Array.from({ length: random.below(20) }, () => random.below(4)),
        ])();
      case 'parameters':
        return random.chance(0.7)
          ? (calls.run('parameters', () => anyLayer(world)?.parameters?.()) ?? smallParameters())
          : [...smallParameters(), ...random.some(world.parameters)];
      case 'layers':
        if (random.chance(0.4)) return chain(world);
        return random.chance(0.5)
          ? random.some(world.layers)
          : Object.fromEntries(random.some(world.layers).map((layer, index) => [random.chance(0.2) ? text(random) : `l${index}`, layer]));
      case 'model':
        return anyLayer(world);
      case 'state':
        return stateFor(world, subject);
      case 'carried':
        return random.chance(0.5) ? subject?.carriedState?.() : stateFor(world, subject);
      case 'table':
        return join(folder, random.pick(['a', 'table.csv', 'table.csv']));
      case 'path':
        return join(folder, random.pick(['a', 'b', 'b', 'c/d']));
      case 'series':
        return random.chance(0.8)
          ? { columns: ['a', 'b'], rows: 6, values: Float64Array.from({ length: 12 }, () => random.next()), target: random.below(2) }
          : json(random);
      case 'range':
        return { begin: random.below(4), end: random.below(8) };
      case 'body':
        return () => (random.chance(0.1) ? hostile(random, world) : world.steps(random.below(6)));
      case 'batches':
        return Array.from({ length: random.below(4) }, () => batchFor(world, subject));
      case 'trained':
        return { ...trained(world, subject), step: random.below(5) };
      case 'restored':
        return trained(world, subject);
      case 'fitOptions':
        return fitOptions(world, subject);
      default:
        return hostile(random, world);
    }
  }

  /** Layers that fit each other. */
  function chain(world) {
    const { random, dtype } = world;
    const [inputSize, hiddenSize] = [random.pick(SIZES), random.pick(SIZES)];
    const Recurrent = random.pick([api.RNN, api.LSTM, api.GRU]);
    const layers = [new Recurrent({ inputSize, hiddenSize, dtype }), new api.Linear({ inputSize: hiddenSize, outputSize: 2, dtype })];
    return Object.assign(random.chance(0.5) ? layers : layers.toSpliced(1, 0, new api.LastStep()), { inputSize });
  }

  /** A state dict of its own or of others, with the names that it has, or those of another model around the same. */
  function stateFor({ random, tensors }, subject) {
    const state =
      random.chance(0.6) && typeof subject?.stateDict === 'function'
        ? subject.stateDict()
        : Object.fromEntries(tensors.slice(0, 3).map((one) => [text(random), one]));
    return random.chance(0.5) ? state : renameKeys(random, state);
  }

  const trained = (world, subject) => ({ model: subject ?? anyLayer(world), optimizer: optimizerOf(subject) });

  function optimizerOf(subject) {
    return new api.SGD(subject?.parameters?.().length > 0 ? subject.parameters() : smallParameters(), { learningRate: 0.01 });
  }

  /** An input with a target of the output's shape, if the model says what that is. */
  function batchFor(world, model) {
    const input = inputOf(world, model);
    try {
      const { shape: sizes, dtype } = model.forward(input);
      return { input, target: tensor(world.random, [...sizes], dtype) };
    } catch {
      return { input, target: tensor(world.random) };
    }
  }

  function fitOptions(world, subject) {
    const { random } = world;
    const names = learn('fit', (options) => fitNames(options)).names ?? [];
    const options = { loss: api.mseLoss, optimizer: optimizerOf(subject), epochs: 1 + random.below(2) };
    if (random.chance(0.4))
      options[random.pick(names.length > 0 ? names : ['clip'])] = random.chance(0.5) ? valueFor('', random) : hostile(random, world);
    if (random.chance(0.3))
      options.clip = random.pick([{ maxNorm: 1 }, { clipValue: 1 }, 'autoclip', 'zclip', 'adaptive', { maxNorm: Infinity }]);
    // However many epochs it takes for good.
    if (typeof options.epochs === 'number' && options.epochs > 5) options.epochs = 1;
    return options;
  }

  let fitMessage = '';
  const fitNames = () => {
    throw new EvenkeelError('ERR_OPTION', fitMessage);
  };
  await api.fit(new api.LastStep(), [], { noSuchOption: 1 }).catch((error) => (fitMessage = error.message));

  /** A method, a getter or a setter of something that lives. */
  function callMethod(world) {
    const { random } = world;
    const object = random.chance(0.7) ? anyLayer(world) : random.pick(world.objects.concat(world.tensors, world.parameters));
    if (typeof object !== 'object' || object === null) return undefined;
    const members = membersOf(object);
    if (members.length === 0) return undefined;
    // Most calls are those of training.
    const { name, get, set, value } = random.chance(0.5)
      ? (members.find((member) => member.name === random.pick(['forward', 'backward', 'step'])) ?? random.pick(members))
      : random.pick(members);
    const label = `${object.constructor?.name}.${name}`;
    if (typeof value !== 'function') {
      if (set !== undefined && random.chance(0.5))
        return calls.run(`${label} =`, () => (object[name] = random.chance(0.5) ? valueFor(name, random) : hostile(random, world)));
      return get === undefined ? undefined : calls.run(label, () => object[name]);
    }
    const kinds = SIGNATURES[name] ?? Array.from({ length: value.length }, () => 'anything');
    const good = kinds[0] === 'input' ? inputOf(world, object) : tensor(random);
    const args = argumentsOf(kinds, (kind) => argument(world, kind, label, (options) => value.call(object, good, options), object), world);
    const result = calls.run(label, () => value.apply(object, args));
    // What a body gives back is the case's own, and may be anything: its methods are nothing to call.
    if (name === 'run') return undefined;
    if (name === 'forward' && Tensor.isTensor(result)) {
      world.output = result;
      if (random.chance(0.6)) {
        const gradOutput = tensor(random, [...result.shape], result.dtype);
        world.keep(calls.run(`${object.constructor?.name}.backward`, () => object.backward(gradOutput)));
      }
    }
    return result;
  }

  async function callFunction(world) {
    const { random } = world;
    const [name, value] = random.pick(exported);
    if (isClass(value)) return construct(world, name, value);
    const subject = anyLayer(world);
    const kinds = SIGNATURES[name] ?? Array.from({ length: value.length + 1 }, () => 'anything');
    const scratch = new World(new Random(7));
    const learning = (options) => value(...argumentsOf(kinds.slice(0, -1), (kind) => good(scratch, kind), scratch), options);
    const args = argumentsOf(kinds, (kind) => (kind === 'model' ? subject : argument(world, kind, name, learning, subject)), world);
    const { refused } = calls;
    const result = await calls.runAsync(name, () => value(...args), name === 'fit' ? isTypedOrTheirs : undefined);
    const follower = calls.refused === refused ? FOLLOWED_BY[name] : undefined;
    if (follower !== undefined) await calls.runAsync(follower, () => api[follower](args[0], withoutStep(args[1])));
    if (
      result !== null &&
      typeof result === 'object' &&
      Symbol.iterator in result &&
      !Array.isArray(result) &&
      !ArrayBuffer.isView(result)
    ) {
      calls.run(`${name}: batches`, () => {
        let taken = 0;
        for (const batch of result) {
          if (random.chance(0.1) && args.some(Tensor.isTensor)) detach(args.find(Tensor.isTensor).data);
          world.keep(batch);
          if (++taken === 3) break;
        }
      });
    }
    return result;
  }

  /** What was saved, as what it is loaded into: loadState has no use for it. */
  const withoutStep = (saved) => (saved?.optimizer === undefined ? undefined : { model: saved.model, optimizer: saved.optimizer });

  /** An argument to learn options beside. */
  function good(scratch, kind) {
    if (kind === 'model') return new api.Linear({ inputSize: 2, outputSize: 2 });
    if (kind === 'rnn') return new api.RNN({ inputSize: 2, hiddenSize: 2 });
    if (kind === 'input') return Tensor.zeros([2, 3, 2]);
    if (kind === 'tensor' || kind === 'likeFirst') return Tensor.zeros([4, 3]);
    if (kind === 'labels') return new Int32Array(4);
    if (kind === 'table') return join(folder, 'table.csv');
    return argument(scratch, kind, '', () => {});
  }

  return async (random) => {
    const world = new World(random);
    world.steps = (count) => {
      for (let i = 0; i < count; i++) world.keep(callMethod(world));
    };
    world.callAnything = () => callMethod(world);
    for (let i = 0; i < 2; i++) makeLayer(world);
    for (let i = 0; i < 40; i++) {
      if (random.chance(0.02) && world.tensors.length > 0) detach(random.pick(world.tensors).data);
      if (random.chance(0.1)) calls.run('Workspace.run', () => world.workspace.run(() => world.steps(1 + random.below(5))));
      else if (random.chance(0.7)) world.keep(callMethod(world));
      else world.keep(await callFunction(world));
    }
  };
}

/** One after the other: an argument may depend on the one before. */
function argumentsOf(kinds, make, world) {
  world.last = undefined;
  return kinds.map((kind) => {
    const made = make(kind);
    if (made !== undefined) world.last = made;
    return made;
  });
}

function rowsOf(value) {
  return Tensor.isTensor(value) && value.shape.at(-1) > 0 ? value.size / value.shape.at(-1) : 3;
}
