import { checkPath } from '../../io/file';
import { saveState } from '../../io/safetensors';
import type { Layer } from '../../layers/layer';
import type { Tensor } from '../../tensor';
import { KERAS } from './describe';
import { describeForExport, type ExportOptions, inputShape } from './export';

/** In Python: reads what {@link toKeras} wrote, with Keras 3 or 2 and the package safetensors. */
const LOADER = `import json, keras
from safetensors import safe_open

def load(path):
    with safe_open(path, "numpy") as file:
        told = json.loads(file.metadata()["keras"])
        layers = [getattr(keras.layers, layer["class_name"]).from_config(layer["config"]) for layer in told["layers"]]
        model = keras.Sequential(layers)
        model.build(told["input_shape"])
        model.set_weights([file.get_tensor(name) for name in told["weights"]])
    return model
`;

/**
 * Writes a model for Keras: a safetensors file with the weights as Keras has them, the layers' configs in its metadata as `keras`, and as
 * `keras.loader` ten lines of Python that make a keras.Sequential of it. What Keras has no layer for is
 * refused by name: normalisations within a cell, projections, zoneout.
 * @param path the file to write or replace
 * @throws EvenkeelError ERR_OPTION for such a layer, ERR_FILE when the file cannot be written
 */
export function toKeras(model: Layer, path: string, options: ExportOptions = {}): void {
  const layers = describeForExport(model, options, KERAS);
  const state = model.stateDict();
  const tensors: Record<string, Tensor> = {};
  const weights = layers.flatMap((layer) =>
    layer.write(state).map((tensor, index) => {
      const { part, name } = layer.slots[index] as { part: string; name: string };
      const full = [layer.name, ...(part.includes('_layer') ? [part.split('/')[0]] : []), name].join('/');
      tensors[full] = tensor;
      return full;
    }),
  );
  const told = {
    layers: layers.map(({ className, config }) => ({ class_name: className, config })),
    input_shape: inputShape(layers),
    weights,
  };
  saveState(checkPath('path', path), tensors, { metadata: { format: 'np', keras: JSON.stringify(told), 'keras.loader': LOADER } });
}
