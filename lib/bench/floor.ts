import { readFileSync } from 'node:fs';
import { biasElements, cellCosts, stepElements, stepFlop, weightElements } from '../layers/recurrent/cost';
import { native } from '../native/load';
import { getNumThreads, setNumThreads } from '../runtime';
import type { GatedWork, Trial, Work } from './protocol';
import { gatedTask } from './works';

/** What the machine can do in float32 with a number of threads, measured in the same run as everything else. */
export interface MachineFloor {
  threads: number;
  /** multiply-adds in registers, 10⁹ operations per second */
  fmaGflops: number;
  /** OpenBLAS's best square product, 10⁹ operations per second */
  gemmGflops: number;
  /** reading memory beyond the caches, 10⁹ bytes per second */
  readGBs: number;
  /** copying it, bytes read plus written */
  copyGBs: number;
}

type MachineLimits = Omit<MachineFloor, 'threads'>;

/** The least that a trial must do, whoever does it. */
export interface TrialFloor {
  /** multiplications and additions of its matrix products */
  flop: number;
  /** bytes that must come from or go to memory when nothing of the data stays in a cache */
  bytes: number;
}

/** Each is measured as often, in turns, and the best counts: other work on the machine only ever takes away from what it can do. */
const measurements = 2;

/** Measures the machine with one thread and with all; about 3 s. */
export function machineFloor(): MachineFloor[] {
  const all = getNumThreads();
  const best = [...new Set([1, all])].map((threads): MachineFloor => ({ threads, fmaGflops: 0, gemmGflops: 0, readGBs: 0, copyGBs: 0 }));
  try {
    for (let turn = 0; turn < measurements; turn++) {
      for (const [index, { threads }] of best.entries()) {
        setNumThreads(threads);
        const limits = native().measureMachine();
        // All threads can do what one does while the others rest.
        for (const floor of best.slice(index)) keepBest(floor, limits);
      }
    }
  } finally {
    setNumThreads(all);
  }
  return best;
}

function keepBest(floor: MachineFloor, limits: MachineLimits): void {
  for (const key of Object.keys(limits) as (keyof MachineLimits)[]) floor[key] = Math.max(floor[key], limits[key]);
}

const FLOAT = 4;

/**
 * The products of its passes and the bytes of each large array once per pass that cannot do without it, with Adam's reading and writing of weights
 * and two moments. ∂L/∂x is not needed to train, and counted for the RNN alone only, which gives it.
 */
export function trialFloor({ work, n, t, i, h }: Trial): TrialFloor {
  const rows = n * t;
  const gated = gatedTask(work);
  const sizes = { gates: gated?.gates ?? cellCosts.rnn.gates, inputSize: i, hiddenSize: h };
  const [flop, elements] = [stepFlop(sizes), stepElements(sizes)];
  // Behind the RNN without gates stands a LayerNorm, or one within it.
  const weights = weightElements(sizes) + biasElements(sizes) + (gated === undefined ? 2 * h : 0);
  switch (gated?.part ?? (work as Exclude<Work, GatedWork>)) {
    case 'train':
    case 'placement':
      return { flop: rows * (flop.forward + flop.backward), bytes: FLOAT * (rows * elements.train + 6 * weights) };
    case 'forward':
    case 'step':
      return { flop: rows * flop.forward, bytes: FLOAT * (rows * elements.forward + weights) };
    case 'backward':
      return { flop: rows * flop.backward, bytes: FLOAT * (rows * elements.backward + 2 * weights) };
    case 'rnn':
      return {
        flop: rows * (flop.forward + flop.backward + flop.inputGradient),
        bytes: FLOAT * (rows * elements.bothWithInputGradient + 2 * weights),
      };
    case 'layer-norm':
      // x twice, y, dy, dx; some ten operations per element are far below any memory's speed
      return { flop: 0, bytes: FLOAT * rows * 5 * h };
  }
}

/**
 * The shortest time in which this machine could do a trial, in milliseconds: its operations at the register peak, or its bytes at the speed
 * of memory where they are more than the last-level cache holds, whichever takes longer; undefined where neither bounds it.
 */
export function floorMilliseconds(trial: Trial, machine: MachineFloor, cacheBytes = lastLevelCacheBytes()): number | undefined {
  const { flop, bytes } = trialFloor(trial);
  const compute = flop / machine.fmaGflops / 1e6;
  const memory = bytes > cacheBytes ? bytes / Math.max(machine.readGBs, machine.copyGBs) / 1e6 : 0;
  const longest = Math.max(compute, memory);
  return longest > 0 ? longest : undefined;
}

/** The size of the last-level cache; 32 MiB where the system does not tell. */
export function lastLevelCacheBytes(): number {
  for (const level of [3, 2]) {
    const size = /^(\d+)K/.exec(readOr(`/sys/devices/system/cpu/cpu0/cache/index${level}/size`, ''));
    if (size !== null) return Number(size[1]) * 1024;
  }
  return 32 * 2 ** 20;
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return otherwise;
  }
}
