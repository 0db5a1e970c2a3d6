// Messages of ONNX with something else somewhere in them: still messages, with sizes, names and numbers that no exporter writes.
import { internal } from './calls.mjs';
import { mutateBytes, text } from './random.mjs';

export const { MODEL } = internal('interop/onnx/messages');
export const { readMessage, writeMessage } = internal('interop/onnx/wire');

const INTEGERS = [0, 1, 2, 3, 5, 7, 10, 11, -1, -2, 127, 2 ** 20, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 53, 2 ** 62, -(2 ** 63)];
const FLOATS = [0, -0, 1, -1, 0.5, 1e-5, 1e38, Number.NaN, Infinity];

const SCALARS = {
  int: (random) => random.pick(INTEGERS),
  float: (random) => random.pick(FLOATS),
  double: (random) => random.pick(FLOATS),
  text: (random) => text(random),
  bytes: (random, value) => mutateBytes(random, Buffer.from(value ?? [])),
};

/** A copy of a message of a type, as the tables of lib/interop/onnx describe it. */
export function mutateMessage(random, message, type) {
  const fields = Object.values(type);
  const present = fields.filter(({ name }) => message[name] !== undefined);
  const copy = { ...message };
  if (present.length === 0 || random.chance(0.03)) {
    const { name, ...field } = random.pick(fields);
    const value = made(random, field);
    copy[name] = field.repeated ? [value] : value;
    return copy;
  }
  // What stands deep within is most of a model.
  const { name, ...field } = random.pick(present);
  if (random.chance(0.04)) delete copy[name];
  else copy[name] = field.repeated ? mutateList(random, copy[name], field) : mutateValue(random, copy[name], field);
  return copy;
}

const made = (random, { type }) => (typeof type === 'function' ? {} : SCALARS[type](random));

function mutateValue(random, value, { type }) {
  return typeof type === 'function' ? mutateMessage(random, value, type()) : SCALARS[type](random, value);
}

function mutateList(random, list, field) {
  const copy = [...list];
  if (copy.length === 0 || random.chance(0.05)) return [...copy, made(random, field)];
  const at = random.below(copy.length);
  const other = random.below(copy.length);
  const kind = random.below(16);
  if (kind === 0) copy.splice(at, 1);
  else if (kind === 1) copy.push(copy[at]);
  else if (kind === 2) [copy[at], copy[other]] = [copy[other], copy[at]];
  else if (kind === 3) copy[at] = copy[other];
  else copy[at] = mutateValue(random, copy[at], field);
  return copy;
}
