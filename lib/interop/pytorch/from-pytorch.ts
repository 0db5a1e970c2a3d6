import { checkDType, fail, isPlainObject, readOptions, readSafely } from '../../check';
import { EvenkeelError } from '../../errors';
import { fileFault, quote } from '../../io/file';
import { loadMetadata, loadState } from '../../io/safetensors';
import { checkLayer, type Layer } from '../../layers/layer';
import type { StateDict } from '../../state-dict';
import { checkTensor, type DType, Tensor } from '../../tensor';
import { chainLayers, type NamedLayer } from '../chain';
import { commonDType, ForeignTensors, fillParameters } from '../foreign-tensors';
import { ForeignModule, MODULE_KINDS, missingBias, moduleOf, type PyTorchModuleType } from './modules';

/**
 * A module of a state dict: its type; or the type with what tensors do not say, such as `{ type: 'RNN', nonlinearity: 'relu' }` or
 * `{ type: 'LayerNorm', eps: 1e-3 }`, or of one without parameters `{ type: 'LayerNorm', affine: false, size: 8 }`, as the layer's constructor takes it; or a layer of your own without parameters.
 */
export type PyTorchModule = PyTorchModuleType | { readonly type: PyTorchModuleType; readonly [option: string]: unknown } | Layer;

/** Options of {@link fromPyTorch}. */
export interface FromPyTorchOptions {
  /**
   * The modules by name in the order in which data goes through them, or an array of those of an nn.Sequential. A state dict has neither
   * that order nor what stands between, such as the step that is taken; only for a single module, or those of an nn.Sequential without
   * gaps, can it be left out.
   */
  modules?: Readonly<Record<string, PyTorchModule>> | readonly PyTorchModule[];
  /** of the model, to which tensors are converted; that of the tensors unless given */
  dtype?: DType;
}

/** What toPyTorch writes about the modules, as the option takes it. */
export const MODULES_KEY = 'evenkeel.modules';

/** Before all names, by DataParallel and torch.compile. */
const WRAPPERS = /^(?:module|_orig_mod)\./;

/**
 * Makes a model of a PyTorch state dict: of nn.RNN, nn.GRU and nn.LSTM, with all their layers, directions, projections and with or without
 * biases, and of nn.Linear, nn.Embedding, nn.LayerNorm and nn.RMSNorm. Each tensor goes into a parameter, each parameter comes from a tensor,
 * or an error says which does not. In Python: `safetensors.torch.save_file(model.state_dict(), 'model.safetensors')`.
 *
 * `module.` and `_orig_mod.` before all names are taken away. Data are batch first here, whatever `batch_first` was there.
 * @param state the path of a safetensors file, or tensors by name
 * @returns the layer of a bare module, else a Sequential with the module's names
 * @throws EvenkeelError ERR_FILE for a file, or tensors, that are not understood: the message names the tensor; ERR_OPTION where `modules` is
 *   needed, or wrong; ERR_DTYPE where tensors have several dtypes and none is asked for
 *
 * @example
 * const there = new Sequential({ rnn: new LSTM({ inputSize: 3, hiddenSize: 8 }), head: new Linear({ inputSize: 8, outputSize: 1 }) });
 * saveState('torch.safetensors', there.stateDict()); // or save_file(model.state_dict(), 'torch.safetensors') in Python
 * const model = fromPyTorch('torch.safetensors', { modules: { rnn: 'LSTM', last: 'LastStep', head: 'Linear' } });
 * const output = model.forward(Tensor.randn([16, 100, 3])); // [16, 1]
 */
export function fromPyTorch(state: string | StateDict, options: FromPyTorchOptions = {}): Layer {
  const given = readOptions('fromPyTorch options', options, ['modules', 'dtype']);
  const dtype = given.dtype === undefined ? undefined : checkDType('dtype', given.dtype);
  const tensors = readTensors(state);
  const modules = given.modules === undefined ? undefined : checkModules('modules', given.modules);
  const told = modules ?? toldByFile(state);
  const layers = told ?? guessModules(tensors);
  const wanted = commonDType(tensors.where, tensorsOf(tensors), dtype);
  const values: Record<string, Tensor> = {};
  const made = layers.map(([name, module]): NamedLayer => {
    if (typeof module !== 'string' && isLayer(module)) return [name, checkBare(name, module)];
    const { layer, own } = makeLayer(tensors, name, module, wanted);
    for (const [key, tensor] of Object.entries(own)) values[name === '' ? key : `${name}.${key}`] = tensor;
    return [name, layer];
  });
  tensors.checkAllTaken(`Name their modules in the option modules, or leave them out of the state.`);
  const model = chainLayers('modules', made);
  fillParameters(tensors.where, model, values);
  return model;
}

type Modules = readonly (readonly [name: string, module: PyTorchModule])[];

function readTensors(state: unknown): ForeignTensors {
  if (typeof state === 'string') return withoutWrappers(state, loadState(state));
  const entries = readSafely('state', () => (isPlainObject(state) ? Object.entries(state) : undefined));
  if (entries === undefined) fail('ERR_OPTION', 'state', 'the path of a safetensors file, or a record of tensors by name', state);
  const checked = entries.map(([name, tensor]): [string, Tensor] => [name, checkTensor(`state[${quote(name)}]`, tensor)]);
  return withoutWrappers('state', Object.fromEntries(checked));
}

function withoutWrappers(where: string, state: StateDict): ForeignTensors {
  let entries = Object.entries(state);
  if (entries.length === 0) fileFault(where, 'tensors', 'none');
  while (entries.every(([name]) => WRAPPERS.test(name))) entries = entries.map(([name, tensor]) => [name.replace(WRAPPERS, ''), tensor]);
  return new ForeignTensors(where, entries);
}

function tensorsOf(tensors: ForeignTensors): Tensor[] {
  return tensors.names.map((name) => tensors.peek(name) as Tensor);
}

function checkModules(argument: string, value: unknown): Modules {
  const entries = readSafely(argument, () => (Array.isArray(value) || isPlainObject(value) ? Object.entries<unknown>(value) : undefined));
  if (entries === undefined || entries.length === 0) fail('ERR_OPTION', argument, 'a record or an array of modules', value);
  return entries.map(([name, module]) => [name, checkModule(`${argument}.${name}`, module)]);
}

function checkModule(argument: string, value: unknown): PyTorchModule {
  if (readSafely(argument, () => isLayer(value))) return checkLayer(argument, value);
  const type = typeof value === 'string' ? value : readSafely(argument, () => (isPlainObject(value) ? value.type : undefined));
  if (typeof type !== 'string' || !Object.hasOwn(MODULE_KINDS, type)) {
    const kinds = Object.keys(MODULE_KINDS).join(', ');
    fail('ERR_OPTION', argument, `one of ${kinds}, an object with such a type, or a layer without parameters`, type ?? value);
  }
  // A copy, so that a getter is asked once.
  return readSafely(argument, () =>
    typeof value === 'string' ? (type as PyTorchModuleType) : { ...(value as { type: PyTorchModuleType }) },
  );
}

function isLayer(value: unknown): value is Layer {
  return typeof (value as Partial<Layer> | null | undefined)?.forward === 'function';
}

function checkBare(name: string, layer: Layer): Layer {
  if (Object.keys(layer.stateDict()).length > 0) {
    fail('ERR_OPTION', `modules.${name}`, 'a layer without parameters', layer, 'Give the type of one whose parameters the state has.');
  }
  return layer;
}

/** The modules that {@link toPyTorch} wrote beside the tensors. */
function toldByFile(state: unknown): Modules | undefined {
  const text = typeof state === 'string' ? loadMetadata(state)[MODULES_KEY] : undefined;
  if (text === undefined) return undefined;
  try {
    return readWrittenModules(JSON.parse(text));
  } catch (cause) {
    throw new EvenkeelError(
      'ERR_FILE',
      `${state}: expected modules in the metadata ${MODULES_KEY}, got ${quote(text)}. Give the option modules.`,
      { cause },
    );
  }
}

function readWrittenModules(value: unknown): Modules {
  if (!Array.isArray(value)) fail('ERR_OPTION', MODULES_KEY, 'an array', value);
  return value.map((entry: unknown, index): Modules[number] => {
    const [name, module] = Array.isArray(entry) ? entry : [];
    if (typeof name !== 'string') fail('ERR_OPTION', `${MODULES_KEY}[${index}]`, 'a name and a module', entry);
    return [name, checkModule(`${MODULES_KEY}[${index}]`, module)];
  });
}

function guessModules(tensors: ForeignTensors): Modules {
  const names = [...new Set(tensors.names.map(moduleOf))];
  const found = names.map((name) => ({ name, module: new ForeignModule(tensors, name) }));
  const unknown = found.find(({ module }) => module.kinds().length === 0);
  if (unknown !== undefined) {
    const kinds = Object.keys(MODULE_KINDS).join(', ');
    fileFault(unknown.module.where, `the tensors of one of ${kinds}`, unknown.module.describe());
  }
  const kinds = found.map(({ module }) => module.kinds());
  const inOrder = names.length === 1 || names.every((name, index) => name === String(index));
  if (inOrder && kinds.every(({ length }) => length === 1))
    return names.map((name, index) => [name, kinds[index]?.[0] as PyTorchModuleType]);
  const proposal = names.map((name, index) => `${JSON.stringify(name)}: ${kinds[index]?.map((kind) => `'${kind}'`).join(' or ')}`);
  const why = inOrder ? 'types that the tensors alone do not tell apart' : 'the order of the modules, which a state dict does not have';
  throw new EvenkeelError(
    'ERR_OPTION',
    `modules: expected ${why}, got no such option. Give modules: { ${proposal.slice(0, 20).join(', ')} }, in the order in which data goes through them.`,
  );
}

function makeLayer(
  tensors: ForeignTensors,
  name: string,
  given: Exclude<PyTorchModule, Layer>,
  dtype: DType,
): { layer: Layer; own: Record<string, Tensor> } {
  const { type, ...options } = typeof given === 'string' ? { type: given } : given;
  const { told, read, make } = MODULE_KINDS[type];
  const argument = `modules.${name}`;
  const module = new ForeignModule(tensors, name);
  // A norm without γ and β has no tensor to say its size.
  if (module.names.length === 0 && options.affine === false) return { layer: make({ ...options, dtype }), own: {} };
  const already = Object.keys(options).find((option) => told.includes(option));
  if (already !== undefined) fail('ERR_OPTION', `${argument}.${already}`, 'nothing, since the tensors say it', options[already]);
  if (read === undefined) return { layer: make(options), own: {} };
  if (module.names.length === 0) {
    const known = [...new Set(tensors.names.map(moduleOf))].map((known) => quote(known)).join(', ');
    fail('ERR_OPTION', argument, `a module of ${tensors.where}, which has ${known}`, name);
  }
  const found = read(module);
  const layer = makeChecked(module.where, () => make({ ...options, ...found, dtype }), Object.keys(options).length > 0);
  const own = module.values(dtype);
  if (missingBias(module, type)) own.bias = Tensor.zeros([found.size as number], { dtype });
  return { layer, own };
}

/** What a constructor refuses is the file's fault where it was told nothing else. */
function makeChecked(where: string, make: () => Layer, areOptionsGiven: boolean): Layer {
  try {
    return make();
  } catch (cause) {
    if (!(cause instanceof EvenkeelError) || areOptionsGiven || cause.code !== 'ERR_OPTION') throw cause;
    throw new EvenkeelError('ERR_FILE', `${where}: ${cause.message}`, { cause });
  }
}
