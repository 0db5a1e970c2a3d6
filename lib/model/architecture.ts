/**
 * A model as JSON: each layer by its name and options. A layer is `{"$layer": "LSTM", "options": {…}}`, wherever it stands among the options of
 * another; a number that JSON has not is `{"$number": "Infinity"}`; of another key that begins with `$`, the `$` is doubled.
 */
import { fail, isPlainObject, nearestName, readSafely } from '../check';
import { EvenkeelError } from '../errors';
import { fileFault, quote } from '../io/file';
import { checkLayer, type Layer } from '../layers/layer';
import { knownLayers, type LayerMemory, type LayerOptions, makerOf, nameOfLayer } from './layer-classes';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Deeper than any model, and shallow enough for every stack. */
const MAX_DEPTH = 100;
/** More values than any model's options have. */
const MAX_VALUES = 1_000_000;

const LAYER = '$layer';
const OPTIONS = 'options';
const NUMBER = '$number';

/** The numbers that JSON has not, as they are written. */
const SPECIAL_NUMBERS = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, -0];
const textOf = (value: number) => (Object.is(value, -0) ? '-0' : String(value));

/**
 * Describes a model.
 * @throws EvenkeelError ERR_OPTION for a layer whose class is not registered or which does not say its options, and for options that are
 * neither numbers, texts, booleans, layers, nor arrays and records of these
 */
export function describeLayer(model: Layer): Json {
  return new Describer().layer('model', model, 0);
}

class Describer {
  #values = 0;

  layer(where: string, layer: Layer, depth: number): Json {
    const name = nameOfLayer(layer);
    if (name === undefined) {
      fail(
        'ERR_OPTION',
        where,
        'a layer whose class has a name',
        layer,
        "Call registerLayer('Name', Class) before, for a layer of your own.",
      );
    }
    const options = readSafely(`${where}.options`, () => (isPlainObject(layer.options) ? layer.options : undefined));
    if (options === undefined) {
      fail(
        'ERR_OPTION',
        `${where}.options`,
        'a record of what the constructor takes',
        readSafely(where, () => layer.options),
      );
    }
    return { [LAYER]: name, [OPTIONS]: this.#record(where, options, depth + 1) };
  }

  #value(where: string, value: unknown, depth: number): Json {
    if (depth > MAX_DEPTH || ++this.#values > MAX_VALUES) {
      fail('ERR_OPTION', where, `at most ${MAX_VALUES} values, at most ${MAX_DEPTH} deep`, value);
    }
    if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
    if (typeof value === 'number') {
      return Number.isFinite(value) && !Object.is(value, -0) ? value : { [NUMBER]: textOf(value) };
    }
    if (readSafely(where, () => Array.isArray(value))) {
      const list = readSafely(where, () => (value as unknown[]).slice(0, MAX_VALUES));
      return list.map((item, index) => this.#value(`${where}[${index}]`, item, depth + 1));
    }
    if (readSafely(where, () => isPlainObject(value))) return this.#record(where, value as LayerOptions, depth + 1);
    if (typeof value === 'object') return this.layer(where, checkLayer(where, value), depth);
    return fail('ERR_OPTION', where, 'a number, a text, a boolean, a layer, or an array or record of these', value);
  }

  #record(where: string, record: LayerOptions, depth: number): Json {
    const entries = readSafely(where, () => Object.entries(record)).filter(([, value]) => value !== undefined);
    return Object.fromEntries(
      entries.map(([key, value]) => [key.startsWith('$') ? `$${key}` : key, this.#value(`${where}.${key}`, value, depth)]),
    );
  }
}

/**
 * Makes the model that {@link describeLayer} described, with parameters that are still to be loaded.
 * @param where begins every error's text
 * @param memory of the parameters of the package's layers
 * @throws EvenkeelError ERR_FILE for anything that is no such description, a layer that is not known, and options that it does not take
 */
export function buildLayer(where: string, description: unknown, memory: LayerMemory): Layer {
  return new Builder(memory).layer(where, description, 0);
}

class Builder {
  readonly #memory: LayerMemory;

  constructor(memory: LayerMemory) {
    this.#memory = memory;
  }

  layer(where: string, description: unknown, depth: number): Layer {
    if (!isPlainObject(description)) return fileFault(where, 'a layer', kindOf(description));
    const { [LAYER]: name, [OPTIONS]: options, ...others } = description;
    const [other] = Object.keys(others);
    if (typeof name !== 'string' || !isPlainObject(options) || other !== undefined) {
      return fileFault(where, `${LAYER} and ${OPTIONS} of a layer`, other === undefined ? 'others' : quote(other));
    }
    const make = makerOf(name) ?? failUnknown(where, name);
    const own = this.#record(where, options, depth + 1);
    try {
      return checkLayer(where, make(own, this.#memory));
    } catch (cause) {
      return refuse(where, cause);
    }
  }

  #value(where: string, value: unknown, depth: number): unknown {
    if (depth > MAX_DEPTH) return fileFault(where, `options at most ${MAX_DEPTH} deep`, 'deeper ones');
    if (Array.isArray(value)) return value.map((item, index) => this.#value(`${where}[${index}]`, item, depth + 1));
    if (!isPlainObject(value)) return value;
    if (Object.hasOwn(value, LAYER)) return this.layer(where, value, depth);
    if (Object.hasOwn(value, NUMBER)) return readNumber(where, value);
    return this.#record(where, value, depth + 1);
  }

  #record(where: string, record: LayerOptions, depth: number): LayerOptions {
    const entries = Object.entries(record).map(([key, value]) => {
      if (key.startsWith('$') && !key.startsWith('$$')) return fileFault(where, 'the names of options', quote(key));
      return [key.startsWith('$') ? key.slice(1) : key, this.#value(`${where}.${key}`, value, depth)];
    });
    return Object.fromEntries(entries);
  }
}

function readNumber(where: string, { [NUMBER]: text, ...others }: Record<string, unknown>): number {
  const number = SPECIAL_NUMBERS.find((special) => textOf(special) === text);
  if (number !== undefined && Object.keys(others).length === 0) return number;
  return fileFault(where, `${NUMBER} with one of ${SPECIAL_NUMBERS.map(textOf).join(', ')}`, 'something else');
}

function failUnknown(where: string, name: string): never {
  const nearest = nearestName(name, knownLayers());
  const hint = `Call registerLayer before, for a layer of your own${nearest === undefined ? '.' : `, or use "${nearest}" if that is meant.`}`;
  return fileFault(where, `a layer that is known`, quote(name), hint);
}

/** What a constructor threw, as a fault of the file; a machine without memory or addon is no fault of it. */
function refuse(where: string, cause: unknown): never {
  if (cause instanceof EvenkeelError && ['ERR_FILE', 'ERR_MEMORY', 'ERR_NATIVE'].includes(cause.code)) throw cause;
  throw new EvenkeelError('ERR_FILE', `${where}: ${cause instanceof Error ? cause.message : 'its class could not make it.'}`, { cause });
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
}
