import { join } from 'node:path';
import { writeFileAtomic } from '../../io/atomic-file';
import { checkPath } from '../../io/file';
import { prepareFolder } from '../../io/folder';
import type { Layer } from '../../layers/layer';
import { version } from '../../version';
import { convertTensor } from '../foreign-tensors';
import { type KerasLayer, TFJS } from '../keras/describe';
import { describeForExport, type ExportOptions, inputShape } from '../keras/export';

const SHARD = 'group1-shard1of1.bin';

/**
 * Writes a model as TF.js saves one: `model.json` and its weights in a folder, for `tf.loadLayersModel`. What TF.js has no layer for is
 * refused by name: a GRU with resetAfter, normalisations within a cell, projections, zoneout, RMSNorm. Weights become float32.
 * @param folder made if it is not there
 * @throws EvenkeelError ERR_OPTION for such a layer, ERR_FILE when the folder cannot be written
 */
export function toTfjs(model: Layer, folder: string, options: ExportOptions = {}): void {
  const layers = describeForExport(model, options, TFJS);
  const path = checkPath('folder', folder);
  const state = model.stateDict();
  const written = layers.flatMap((layer) =>
    layer.write(state).map((tensor, index) => {
      const name = weightName(layer, index);
      return { name, tensor: convertTensor(name, tensor, 'float32') };
    }),
  );
  const manifest = {
    paths: [SHARD],
    weights: written.map(({ name, tensor: { shape } }) => ({ name, shape: [...shape], dtype: 'float32' })),
  };
  const json = {
    modelTopology: {
      class_name: 'Sequential',
      config: { name: 'sequential', layers: configsOf(layers) },
      keras_version: 'tfjs-layers 4.22.0',
      backend: 'tensor_flow.js',
    },
    format: 'layers-model',
    generatedBy: `evenkeel ${version}`,
    convertedBy: null,
    weightsManifest: [manifest],
  };
  prepareFolder(path);
  writeFileAtomic(
    join(path, SHARD),
    written.map(({ tensor: { data } }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  );
  writeFileAtomic(join(path, 'model.json'), JSON.stringify(json));
}

/** The first layer says what the input is. */
function configsOf(layers: readonly KerasLayer[]): unknown[] {
  return layers.map(({ className, config }, index) => ({
    class_name: className,
    config: index === 0 ? { ...config, batch_input_shape: inputShape(layers) } : config,
  }));
}

/** As TF.js names the weights of a model that it makes of the config. */
function weightName({ name, className, config, slots }: KerasLayer, index: number): string {
  const slot = slots[index] as KerasLayer['slots'][0];
  const direction = /^(forward|backward)_layer/.exec(slot.part)?.[1];
  const inner = className === 'Bidirectional' ? (config.layer as { config: { name: string } }).config.name : '';
  return direction === undefined ? `${name}/${slot.name}` : `${name}/${direction}_${inner}/${slot.name}`;
}
