import { isPlainObject } from '../../check';
import { fileFault, quote } from '../../io/file';
import { kindOf, type LayerConfig, readLayer } from './config';

/** A model as its config tells it: layers one after another. */
export interface Topology {
  /** of the model */
  readonly name: string;
  /** of the input, the batch first; undefined where the config does not say */
  readonly inputShape: readonly unknown[] | undefined;
  /** what the masks of a functional model of Keras 3 compare its input with, where it has any */
  readonly comparedWith: readonly unknown[];
  /** without InputLayer */
  readonly layers: readonly LayerConfig[];
  /** the names that Keras 3 gives to the layers' weights in its files: by class, numbered */
  readonly groups: readonly string[];
}

interface Node {
  readonly layer: LayerConfig;
  readonly from: readonly string[];
  /** with what NotEqual compares, for a mask */
  readonly compared: readonly unknown[];
}

/** More layers than a recurrent model has. */
const MOST_LAYERS = 10_000;

/**
 * Reads a Sequential, or a functional model whose layers form a chain.
 * @param where begins with the file's path
 * @throws EvenkeelError ERR_FILE for any other model, by name
 */
export function readTopology(where: string, value: unknown): Topology {
  const { class_name: className, config } = isPlainObject(value) ? value : {};
  const options = Array.isArray(config) ? { layers: config } : config;
  if (typeof className !== 'string' || !isPlainObject(options)) {
    return fileFault(where, 'the config of a Keras model, with class_name and config', kindOf(value));
  }
  const { layers } = options;
  if (!Array.isArray(layers) || layers.length === 0 || layers.length > MOST_LAYERS) {
    return fileFault(where, `a model of 1 to ${MOST_LAYERS} layers`, Array.isArray(layers) ? `${layers.length}` : kindOf(layers));
  }
  const name = typeof options.name === 'string' ? options.name : '';
  if (className === 'Sequential') return readSequential(where, name, layers, buildShape(value, options));
  if (className === 'Functional' || className === 'Model') return readFunctional(where, name, options, layers);
  return fileFault(
    where,
    'a Sequential or a functional model',
    quote(className),
    'Build it of layers in one of these ways, and save it again.',
  );
}

function buildShape(value: unknown, options: Record<string, unknown>): unknown {
  const build = isPlainObject(value) && isPlainObject(value.build_config) ? value.build_config.input_shape : undefined;
  return options.build_input_shape ?? build;
}

function readSequential(where: string, name: string, values: readonly unknown[], built: unknown): Topology {
  const all = values.map((value) => readLayer(where, value));
  const layers = all.filter(({ className }) => className !== 'InputLayer');
  const shape = (all[0] && shapeOf(all[0])) ?? (Array.isArray(built) ? built : undefined);
  checkNames(where, layers);
  return { name, comparedWith: [], layers, inputShape: shape, groups: groupNames(layers) };
}

function readFunctional(where: string, name: string, options: Record<string, unknown>, values: readonly unknown[]): Topology {
  const nodes = values.map((value) => readNode(where, value));
  checkNames(
    where,
    nodes.map(({ layer }) => layer),
  );
  const byName = new Map(nodes.map((node) => [node.layer.name, node]));
  const [input, output] = [onlyEnd(where, options.input_layers, 'input'), onlyEnd(where, options.output_layers, 'output')];
  const chain: LayerConfig[] = [];
  for (let at = output; ; ) {
    const node = byName.get(at) ?? fileFault(where, `a layer ${quote(at)}`, 'none');
    chain.push(node.layer);
    if (chain.length > nodes.length) fileFault(where, 'layers one after another', 'a circle');
    const [from, other] = node.from;
    if (other !== undefined) node.layer.fault('one input', `${quote(from as string)} and ${quote(other)}`, CHAINS);
    if (from === undefined) break;
    at = from;
  }
  chain.reverse();
  if (chain[0]?.name !== input || chain[0].className !== 'InputLayer')
    fileFault(where, `the input ${quote(input)}`, quote(chain[0]?.name ?? ''));
  const aside = nodes.find(({ layer }) => !chain.includes(layer) && !isMask(layer));
  if (aside !== undefined) aside.layer.fault('a place between the input and the output', 'none', CHAINS);
  const layers = chain.slice(1);
  // Keras counts all its layers, in the file's order.
  const counted = nodes.map(({ layer }) => layer).filter((layer) => !isMask(layer));
  const groups = groupNames(counted);
  return {
    name,
    comparedWith: nodes.flatMap(({ compared }) => compared),
    layers,
    inputShape: shapeOf(chain[0] as LayerConfig),
    groups: layers.map((layer) => groups[counted.indexOf(layer)] as string),
  };
}

const CHAINS = 'Models whose layers form a chain can be brought over.';

/** The operations by which Keras 3 makes a mask of what Masking and Embedding see. */
function isMask({ className }: LayerConfig): boolean {
  return className === 'NotEqual' || className === 'Any';
}

function readNode(where: string, value: unknown): Node {
  const layer = readLayer(where, value);
  const { inbound_nodes: inbound, name } = value as Record<string, unknown>;
  if (!Array.isArray(inbound)) return layer.fault('inbound_nodes', kindOf(inbound));
  if (typeof name === 'string' && name !== layer.name) layer.fault(`the name ${quote(layer.name)}`, quote(name));
  if (inbound.length > 1) layer.fault('to be used once', `${inbound.length} uses`, CHAINS);
  if (isMask(layer)) return { layer, from: [], compared: comparedBy(layer, inbound[0]) };
  return { layer, from: inbound.flatMap((node) => inputsOf(layer, node)), compared: [] };
}

/** The second argument of a NotEqual; Any only takes its results together. */
function comparedBy(layer: LayerConfig, node: unknown): unknown[] {
  const { args } = isPlainObject(node) ? node : {};
  if (!Array.isArray(args)) return layer.fault('the args of a call', kindOf(node));
  return layer.className === 'NotEqual' ? [args[1]] : [];
}

/** The names of the layers whose output a layer takes, by Keras 3's and Keras 2's ways of writing it. */
function inputsOf(layer: LayerConfig, node: unknown): string[] {
  if (Array.isArray(node)) {
    return node.map((input) => {
      const [name, , , options] = Array.isArray(input) ? input : [];
      if (typeof name !== 'string') return layer.fault('the name of the layer before', kindOf(input));
      checkArguments(layer, options);
      return name;
    });
  }
  const { args, kwargs } = isPlainObject(node) ? node : {};
  if (!Array.isArray(args)) return layer.fault('the args of a call', kindOf(node));
  checkArguments(layer, kwargs);
  return args.map((argument) => {
    const config = isPlainObject(argument) && argument.class_name === '__keras_tensor__' ? argument.config : undefined;
    const history = isPlainObject(config) ? config.keras_history : undefined;
    const name = Array.isArray(history) ? history[0] : undefined;
    return typeof name === 'string' ? name : layer.fault('the output of one layer as input', kindOf(argument), CHAINS);
  });
}

/** A mask passes from layer to layer, as lengths do here; any other argument makes another function of the layer. */
function checkArguments(layer: LayerConfig, options: unknown): void {
  if (options === undefined || options === null) return;
  if (!isPlainObject(options)) layer.fault('the arguments of a call', kindOf(options));
  const other = Object.entries(options).find(([key, value]) => !['training', 'mask'].includes(key) && value !== null);
  if (other !== undefined) layer.fault('a call with its input alone', quote(other[0]), CHAINS);
  if (options.training === true) layer.fault('a call that leaves open whether it is for training', 'training: true');
}

/** The name in `[[name, 0, 0]]` or `[name, 0, 0]`. */
function onlyEnd(where: string, value: unknown, what: string): string {
  const [first, ...others] = Array.isArray(value) ? value : [];
  if (typeof first === 'string') return first;
  if (others.length > 0) fileFault(where, `one ${what}`, `${others.length + 1}`, CHAINS);
  const name = Array.isArray(first) ? first[0] : undefined;
  return typeof name === 'string' ? name : fileFault(where, `the name of the ${what}`, kindOf(value));
}

function shapeOf(layer: LayerConfig): readonly unknown[] | undefined {
  const shape = layer.get('batch_shape') ?? layer.get('batch_input_shape');
  return Array.isArray(shape) ? shape : undefined;
}

function checkNames(where: string, layers: readonly LayerConfig[]): void {
  const seen = new Set<string>();
  for (const { name } of layers) {
    if (name === '' || seen.has(name)) fileFault(where, 'a name of its own for each layer', quote(name));
    seen.add(name);
  }
}

/** Keras' to_snake_case of the class, the second `_1` and so on (keras/src/saving/saving_lib.py). */
export function groupNames(layers: readonly { className: string }[]): string[] {
  const used = new Map<string, number>();
  return layers.map(({ className }) => {
    const name = className
      .replace(/\W+/g, '')
      .replace(/(.)([A-Z][a-z]+)/g, '$1_$2')
      .replace(/([a-z])([A-Z])/g, '$1_$2')
      .toLowerCase();
    const count = used.get(name) ?? 0;
    used.set(name, count + 1);
    return count === 0 ? name : `${name}_${count}`;
  });
}
