import { createHash } from 'node:crypto';
import type { SeriesFormat } from '../data/csv';
import type { Initializer } from '../initializers';
import type { Placement } from '../layers/recurrent/normalization';
import type { Nonlinearity } from '../layers/rnn';
import type { DType } from '../tensor';

/** Where the normalisation of a trial stands: one of the RNN's own placements, or a layer before or after it. */
export type SweepPlacement = Placement | 'input' | 'output';

/** The cells that a trial may have. */
export const CELLS = ['rnn', 'lstm', 'gru'] as const;
export type SweepCell = (typeof CELLS)[number];

/** What a trial trains on. A CSV file is known by its contents; its name is for people. */
export type TrialTask =
  | { name: 'reference' | 'adding' | 'copy' }
  | ({ name: 'csv'; file: string; sha256: string; columns?: string[]; target?: string } & SeriesFormat);

/** How a trial clips. */
export type TrialClip =
  | { rule: 'none' | 'adaptive' | 'autoclip' | 'zclip' }
  | { rule: 'norm'; maxNorm: number }
  | { rule: 'value'; clipValue: number }
  | { rule: 'state'; stateGradientLimit: number };

/** How the weights of a trial start. */
export interface TrialStart {
  /** of W_hh */
  initializer: Initializer;
  gain: number;
  /** of W_ih; left out where the definition has none */
  inputInitializer?: Initializer;
  inputGain?: number;
}

/** One point of the grid: everything that its result depends on, besides the version of this package and the kind of CPU. */
export interface Trial extends TrialStart {
  task: TrialTask;
  /** time steps T */
  length: number;
  /** sequences N */
  batchSize: number;
  inputSize: number;
  hiddenSize: number;
  cell: SweepCell;
  /** of an RNN; left out for other cells, which have none to choose */
  nonlinearity?: Nonlinearity;
  placement: SweepPlacement;
  /** of the normalisation; left out where there is none */
  kind?: 'layer' | 'rms';
  clip: TrialClip;
  seed: number;
  /** training steps */
  steps: number;
  learningRate: number;
  dtype: DType;
}

/** The key of a trial in a store: SHA-256, in hexadecimal digits, of its canonical JSON and the version that runs it. */
export function trialHash(trial: Trial, version: string): string {
  return createHash('sha256').update(canonicalJson({ trial, version })).digest('hex');
}

/** JSON with the keys of every object in order, so that equal values give equal texts. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, member) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}

/** A trial in a few words, for a line of progress. */
export function describeTrial(trial: Trial): string {
  const { task, length, batchSize, hiddenSize, cell, placement, kind, clip, seed } = trial;
  const norm = kind === undefined ? placement : `${placement} (${kind})`;
  const rule = clip.rule === 'none' ? '' : `, clip ${clip.rule}`;
  const name = cell === 'rnn' ? '' : `${cellTitle(cell)}, `;
  return `${describeTask(task)}, ${name}T ${length}, N ${batchSize}, H ${hiddenSize}, ${norm}, ${describeStart(trial)}${rule}, seed ${seed}`;
}

/** LSTM */
export function cellTitle(cell: SweepCell): string {
  return cell.toUpperCase();
}

/** What tells a trial's design from that of a tanh RNN with a LayerNorm, in words. */
export function variantsOf({ cell, kind, nonlinearity }: Pick<Trial, 'cell' | 'kind' | 'nonlinearity'>): string[] {
  return [...(cell === 'rnn' ? [] : [cellTitle(cell)]), ...(kind === 'rms' ? ['rms'] : []), ...(nonlinearity === 'relu' ? ['relu'] : [])];
}

/** A series by its file and what is forecast: a sweep may have several. */
export function describeTask(task: TrialTask): string {
  if (task.name !== 'csv') return task.name;
  return task.target === undefined ? task.file : `${task.file} (${task.target})`;
}

/** "orthogonal ×1.5", and "orthogonal ×1.5, W_ih glorot ×1" where the definition says that too */
export function describeStart({ initializer, gain, inputInitializer, inputGain = 1 }: TrialStart): string {
  const named = (name: Initializer, factor: number) => `${name} ×${Number(factor.toPrecision(3))}`;
  const start = named(initializer, gain);
  return inputInitializer === undefined ? start : `${start}, W_ih ${named(inputInitializer, inputGain)}`;
}
