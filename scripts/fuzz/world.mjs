// What lives on from call to call in a case of the border: tensors, layers, parameters, whatever was returned.
import { internal } from './calls.mjs';

const { Parameter, Tensor, Workspace } = internal('index');

export class World {
  tensors = [];
  layers = [];
  parameters = [];
  objects = [];
  workspace = new Workspace();
  /** of models that do not say it themselves */
  inputSizes = new WeakMap();

  constructor(random) {
    this.random = random;
    // What a program computes with; now and then something else is among it.
    this.dtype = random.pick(['float32', 'float64']);
  }

  keep(value) {
    if (Tensor.isTensor(value)) this.tensors.push(value);
    else if (Parameter.isParameter(value)) this.parameters.push(value);
    else if (typeof value === 'object' && value !== null) this.#keepObject(value);
  }

  #keepObject(value) {
    let [isList, isLayer, members] = [];
    try {
      [isList, isLayer, members] = [Array.isArray(value), typeof value.forward === 'function', Object.values(value).slice(0, 10)];
    } catch {
      return; // what a body gave back, with a trap in it
    }
    if (isLayer) this.layers.push(value);
    if (!isList) this.objects.push(value);
    for (const one of members) if (isList || Tensor.isTensor(one)) this.keep(one);
  }

  anything(random) {
    return random.pick([...this.tensors, ...this.parameters, ...this.layers, ...this.objects]);
  }
}
