import { fail } from '../check';
import type { Layer } from '../layers/layer';
import { Sequential } from '../layers/sequential';

/** A layer with its name among the others, which dots nest: `encoder.rnn`. */
export type NamedLayer = readonly [name: string, layer: Layer];

/**
 * The layers one after another: the layer itself where it is a single one without a name, else a Sequential, in which those with a beginning in
 * common, `encoder.rnn` and `encoder.norm`, have one of their own.
 * @param argument how an error names what the names come from
 * @throws EvenkeelError ERR_OPTION where names with a beginning in common do not stand together, or numbers leave one out
 */
export function chainLayers(argument: string, layers: readonly NamedLayer[]): Layer {
  const [[name, layer]] = layers as readonly [NamedLayer];
  if (layers.length === 1 && name === '') return layer;
  const children = new Map<string, NamedLayer[]>();
  let last: string | undefined;
  for (const [full, child] of layers) {
    const dot = full.indexOf('.');
    const [first, rest] = dot === -1 ? [full, ''] : [full.slice(0, dot), full.slice(dot + 1)];
    const group = children.get(first);
    if (group !== undefined && last !== first) {
      fail('ERR_OPTION', argument, `all of ${first} one after another`, full, 'A Sequential is gone through once, in one order.');
    }
    last = first;
    if (group === undefined) children.set(first, [[rest, child]]);
    else group.push([rest, child]);
  }
  const made = [...children].map(([first, group]): NamedLayer => [first, chainLayers(argument, group)]);
  return new Sequential(areNumbers(argument, made) ? made.map(([, child]) => child) : Object.fromEntries(made));
}

/** Whether the layers are numbered, as those of a list. */
function areNumbers(argument: string, layers: readonly NamedLayer[]): boolean {
  const names = layers.map(([name]) => name);
  if (!names.some((name) => /^\d+$/.test(name))) return false;
  const wrong = names.findIndex((name, index) => name !== String(index));
  if (wrong !== -1) {
    const hint = 'What stands between has no parameters in the file: name it too, such as "Dropout" or "LastStep".';
    fail('ERR_OPTION', argument, `a layer ${wrong} where layers are numbered`, names[wrong], hint);
  }
  return true;
}
