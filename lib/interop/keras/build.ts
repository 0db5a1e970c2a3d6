import { fail } from '../../check';
import { fileFault } from '../../io/file';
import { Activation } from '../../layers/activation';
import type { Layer } from '../../layers/layer';
import { Sequential } from '../../layers/sequential';
import type { DType, Tensor } from '../../tensor';
import { fillParameters } from '../foreign-tensors';
import { kindOf } from './config';
import { type Made, makeLayers } from './layers';
import { maskedLengths } from './masks';
import type { Topology } from './topology';
import type { WeightSource } from './weights';

/** A model of Keras or TF.js, brought over. */
export interface ImportedModel {
  /** A Sequential, whose layers have the names that they had there, with `_` for a dot; or the model that was given. */
  readonly model: Layer;
  /**
   * The lengths of an input's sequences as the model's Masking, or its Embedding with mask_zero, saw them: those that forward and predict take.
   * undefined where it has neither.
   * @throws EvenkeelError ERR_OPTION where a step that is masked comes before one that is not
   */
  lengthsOf(input: Tensor): Int32Array | undefined;
  /** What of the file stays behind since it counts in training alone, a sentence each. */
  readonly notes: readonly string[];
}

/** Options of {@link fromKeras} and {@link fromTfjs} that concern the model. */
export interface ImportOptions {
  /** of the model, to which weights are converted; that of the file unless given */
  dtype?: DType;
  /** whether a softmax or sigmoid at the end is left out, as losses here take logits; false unless given */
  logits?: boolean;
}

/**
 * Makes the model that a topology tells, with all its weights, or throws.
 * @param where begins with the file's path
 */
export function buildModel(
  where: string,
  topology: Topology,
  weights: WeightSource,
  { dtype, logits }: { dtype: DType; logits: boolean },
): ImportedModel {
  const notes: string[] = [];
  const data = { rank: topology.inputShape?.length, width: widthOf(topology.inputShape), mask: undefined };
  let mask: Parameters<typeof maskedLengths>[0] | undefined;
  const made = topology.layers.flatMap((config, index) => {
    const layers = makeLayers(config, { data, dtype, isFirst: index === 0, notes, take: (slot) => weights.take(config, slot) });
    if (index === 0) mask = data.mask;
    return layers;
  });
  const other = topology.comparedWith.find((value) => value !== mask?.value);
  if (other !== undefined) fileFault(where, 'masks by the first layer, Masking or Embedding, alone', `one by ${kindOf(other)}`);
  const kept = logits ? withoutProbabilities(made) : made;
  if (kept.length === 0) fileFault(where, 'a layer that computes something', 'none');
  const named = distinct(kept);
  const model = new Sequential(Object.fromEntries(named.map(({ name, layer }) => [name, layer])));
  fillParameters(
    where,
    model,
    Object.fromEntries(named.flatMap(({ name, values }) => Object.entries(values).map(([own, value]) => [`${name}.${own}`, value]))),
  );
  const known = mask;
  return { model, lengthsOf: (input) => known && maskedLengths(known, input), notes };
}

/** The last size of an input [N, T, F] or [N, F]; of symbols [N, T] it is none, which only an Embedding takes, and it does not ask. */
function widthOf(shape: readonly unknown[] | undefined): number | undefined {
  const width = shape !== undefined && shape.length >= 2 ? shape.at(-1) : undefined;
  return typeof width === 'number' ? width : undefined;
}

function withoutProbabilities(made: readonly Made[]): readonly Made[] {
  const last = made.at(-1)?.layer;
  const isProbability = last instanceof Activation && (last.kind === 'softmax' || last.kind === 'sigmoid');
  if (!isProbability) fail('ERR_OPTION', 'logits', 'false for a model that does not end with softmax or sigmoid', true);
  return made.slice(0, -1);
}

/** Names that a Sequential can have, none of them twice. */
function distinct(made: readonly Made[]): Made[] {
  const used = new Set<string>();
  return made.map(({ name, ...rest }) => {
    const usable = /^\d+$/.test(name) ? `layer_${name}` : name.replaceAll('.', '_');
    let own = usable;
    for (let count = 1; used.has(own); count++) own = `${usable}_${count}`;
    used.add(own);
    return { name: own, ...rest };
  });
}
