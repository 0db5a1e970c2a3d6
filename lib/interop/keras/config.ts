import { isPlainObject } from '../../check';
import { fileFault, quote } from '../../io/file';

/** What of a layer's config changes nothing that it computes, but how it was initialised, trained or run. */
const WITHOUT_EFFECT = new Set([
  ...['name', 'trainable', 'dtype', 'batch_input_shape', 'batch_shape', 'batch_size', 'input_shape', 'build_config', 'seed', 'input_dtype'],
  ...['kernel_initializer', 'recurrent_initializer', 'bias_initializer', 'embeddings_initializer', 'gamma_initializer', 'beta_initializer'],
  ...['kernel_regularizer', 'recurrent_regularizer', 'bias_regularizer', 'activity_regularizer', 'embeddings_regularizer'],
  ...['gamma_regularizer', 'beta_regularizer', 'kernel_constraint', 'recurrent_constraint', 'bias_constraint', 'embeddings_constraint'],
  ...['gamma_constraint', 'beta_constraint', 'unit_forget_bias', 'unroll', 'implementation', 'use_cudnn', 'input_length'],
]);

/**
 * The config of one layer. Every option in it is asked for, is known to be without effect, or is what a layer has unless given; anything else
 * could be another function, and {@link LayerConfig.checkAllRead} refuses it.
 */
export class LayerConfig {
  readonly className: string;
  readonly name: string;
  /** how errors name the layer */
  readonly where: string;
  readonly #options: Readonly<Record<string, unknown>>;
  readonly #read = new Set<string>();

  constructor(file: string, className: string, options: Readonly<Record<string, unknown>>) {
    this.className = className;
    this.name = typeof options.name === 'string' ? options.name : '';
    this.where = `${file}, layer ${quote(this.name)} (${quote(className).slice(1, -1)})`;
    this.#options = options;
    this.#checkDType();
  }

  /** An option as it stands there; undefined where it does not, or is null. */
  get(option: string): unknown {
    this.#read.add(option);
    const value = Object.hasOwn(this.#options, option) ? this.#options[option] : undefined;
    return value === null ? undefined : value;
  }

  boolean(option: string, otherwise: boolean): boolean {
    const value = this.get(option) ?? otherwise;
    return typeof value === 'boolean' ? value : this.fault(`${option} true or false`, kindOf(value));
  }

  number(option: string, otherwise?: number): number {
    const value = this.get(option) ?? otherwise;
    return typeof value === 'number' && Number.isFinite(value) ? value : this.fault(`a number for ${option}`, kindOf(value));
  }

  size(option: string): number {
    const value = this.number(option);
    return Number.isSafeInteger(value) && value >= 1 ? value : this.fault(`a whole number of at least 1 for ${option}`, `${value}`);
  }

  /** One of some words. */
  word<Word extends string>(option: string, words: readonly Word[], otherwise: Word, hint?: string): Word {
    const value = this.get(option) ?? otherwise;
    if (words.includes(value as Word)) return value as Word;
    return this.fault(`${option} ${words.map((word) => quote(word)).join(' or ')}`, kindOf(value), hint);
  }

  /** An option that can be no other than this. */
  only(option: string, value: unknown, hint?: string): void {
    const given = this.get(option) ?? value;
    if (given !== value) this.fault(`${option} ${JSON.stringify(value)}`, kindOf(given), hint);
  }

  /** The layer that this one is around. */
  inner(option: string): LayerConfig | undefined {
    const value = this.get(option);
    return value === undefined ? undefined : readLayer(this.where, value);
  }

  /** @throws EvenkeelError ERR_FILE for options that nobody asked for and that could change what the layer computes */
  checkAllRead(): void {
    const unknown = Object.entries(this.#options).find(
      ([option, value]) => !this.#read.has(option) && !WITHOUT_EFFECT.has(option) && value !== null && value !== false,
    );
    if (unknown !== undefined) this.fault('options that are known here', `${quote(unknown[0])}: ${kindOf(unknown[1])}`);
  }

  /** Whether something of the config counts in training alone and stays behind. */
  regularisers(): string[] {
    return Object.entries(this.#options).flatMap(([option, value]) =>
      (/_(?:regularizer|constraint)$/.test(option) && value !== null && value !== undefined) || (option === 'trainable' && value === false)
        ? [option]
        : [],
    );
  }

  fault(expected: string, got: string, hint?: string): never {
    return fileFault(this.where, expected, got, hint);
  }

  /** Keras 2 and TF.js write a name, Keras 3 a policy. Other numbers than float32's and float64's are another function. */
  #checkDType(): void {
    const { dtype } = this.#options;
    const policy = isPlainObject(dtype) && isPlainObject(dtype.config) ? dtype.config.name : dtype;
    // Symbols are whole numbers.
    const known = ['float32', 'float64', ...(['InputLayer', 'Embedding'].includes(this.className) ? ['int32', 'int64'] : [])];
    if (policy !== undefined && policy !== null && !known.includes(policy as string)) {
      this.fault('dtype float32 or float64', kindOf(policy), 'Set the dtype policy to float32 in Keras, and save the model again.');
    }
  }
}

/** Reads `{ class_name, config }`. */
export function readLayer(where: string, value: unknown): LayerConfig {
  const { class_name: className, config } = isPlainObject(value) ? value : {};
  if (typeof className !== 'string' || !isPlainObject(config)) return fileFault(where, 'a layer with class_name and config', kindOf(value));
  return new LayerConfig(where, className, config);
}

/** What something from a file is, for a message. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'none';
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value);
  if (Array.isArray(value)) return quote(listed(value)).slice(1, -1);
  const name = isPlainObject(value) ? value.class_name : undefined;
  return typeof name === 'string' ? `an object of ${quote(name)}` : 'an object';
}

/** Its beginning, as JSON has it: a file may nest lists deeper than the stack reaches. */
function listed(list: readonly unknown[], depth = 0): string {
  const items = list.slice(0, 20).map((item) => {
    if (typeof item === 'string') return JSON.stringify(item.slice(0, 100));
    if (!Array.isArray(item)) return kindOf(item);
    return depth < 3 ? listed(item, depth + 1) : '…';
  });
  return `[${items.join(',')}${list.length > 20 ? ',…' : ''}]`;
}
