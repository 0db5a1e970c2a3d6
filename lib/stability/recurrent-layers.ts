import { fail } from '../check';
import { checkLayer, type Layer } from '../layers/layer';
import { RecurrentLayer } from '../layers/recurrent/recurrent-layer';
import { Sequential } from '../layers/sequential';

/** The recurrent layers of a model by name, as its parameters' names have it; one that is the model itself is called `rnn`. */
export function recurrentLayers(argument: string, model: unknown): Map<string, RecurrentLayer<unknown>> {
  const found = findRecurrentLayers(checkLayer(argument, model));
  if (found.size === 0) fail('ERR_OPTION', argument, 'a recurrent layer, or a Sequential that holds one', model);
  return found;
}

/** The same of a model that may have none. */
export function findRecurrentLayers(model: Layer): Map<string, RecurrentLayer<unknown>> {
  const found = new Map<string, RecurrentLayer<unknown>>();
  collect(model, 'rnn', '', found);
  return found;
}

function collect(layer: Layer, name: string, prefix: string, found: Map<string, RecurrentLayer<unknown>>): void {
  if (layer instanceof RecurrentLayer) found.set(name, layer);
  if (!(layer instanceof Sequential)) return;
  for (const [own, child] of Object.entries(layer.layers)) collect(child, `${prefix}${own}`, `${prefix}${own}.`, found);
}
