/** Who takes part: one row per system. */
import { delimiter, join } from 'node:path';
import type { DriverCommand } from './driver-process';
import type { Trial, Work } from './protocol';
import { gatedWorks } from './works';

export interface SystemPaths {
  /** the Python that has PyTorch and JAX */
  python: string;
  /** the folder whose node_modules holds the JavaScript rivals; else the bench folder of this package, and then the current one */
  rivals?: string;
}

export interface System {
  id: string;
  title: string;
  /** ways of expressing the work, and which kinds of work each can express; only those that have several are named */
  ways: readonly { tier?: string; works: readonly Work[] }[];
  /** its first call compiles or loads what later calls find ready: it may take several times the limit */
  slowFirstCall?: boolean;
  /** whether it can use more than one thread */
  threaded: boolean;
  command(options: SystemPaths): DriverCommand;
  /** what to type when its driver does not start, and so cannot say so itself */
  install: string;
}

// Both lib/bench and dist/bench stand two levels below the package. Drivers are programs, so they run compiled, also where this does not.
const packageRoot = join(__dirname, '..', '..');
const driversFolder = join(packageRoot, 'dist', 'bench', 'drivers');
const rivalsFolder = join(packageRoot, 'bench');

const driver = (name: string, ...args: string[]): DriverCommand => ({
  file: process.execPath,
  args: [join(driversFolder, `${name}.js`), ...args],
});

const rivalDriver = (name: string, { rivals }: SystemPaths, ...args: string[]): DriverCommand => ({
  ...driver(name, ...args),
  env: { EVENKEEL_RIVALS: rivals ?? [rivalsFolder, '.'].join(delimiter) },
});

const allWorks: readonly Work[] = ['train', 'forward', 'backward', 'rnn', 'layer-norm', 'placement', ...gatedWorks];

const tfjsWays: System['ways'] = [
  // Backward alone is tf.variableGrads here as in the next tier, over more operations.
  { tier: 'layers', works: ['train', 'forward', 'layer-norm', 'lstm-train', 'lstm-forward', 'gru-reset-before-train'] },
  // The RNN alone is for comparing kernels: TF.js' other works show them as well.
  { tier: 'autodiff', works: allWorks.filter((work) => work !== 'rnn') },
  // Without a gradient it is the autodiff tier.
  { tier: 'manual', works: ['train', 'backward', 'layer-norm', ...gatedWorks.filter((work) => work.endsWith('-train'))] },
];

const tfjs = (backend: string, threaded: boolean): System => ({
  id: `tfjs-${backend}`,
  title: `TF.js ${backend}`,
  ways: tfjsWays,
  threaded,
  command: (paths) => rivalDriver('tfjs', paths, backend),
  install: 'npm install --prefix bench',
});

const inPython = (id: string, title: string, { works = allWorks, packages = id } = {}): System => ({
  id,
  title,
  ways: [{ works }],
  threaded: true,
  slowFirstCall: true,
  command: ({ python }) => ({ file: python, args: [join(rivalsFolder, `${id}_driver.py`)] }),
  install: `python3 -m pip install ${packages}`,
});

export const evenkeel: System = {
  id: 'evenkeel',
  title: 'evenkeel',
  ways: [{ works: allWorks }],
  threaded: true,
  command: () => driver('evenkeel'),
  install: 'npm run setup',
};

export const systems: readonly System[] = [
  evenkeel,
  tfjs('cpu', false),
  tfjs('wasm', false),
  tfjs('node', true),
  {
    id: 'jax-js',
    title: 'jax-js',
    // It compiles a gradient together with its forward pass: backward alone cannot be timed.
    ways: [{ works: ['train', 'forward', 'layer-norm'] }],
    threaded: false,
    slowFirstCall: true,
    command: (paths) => rivalDriver('jax-js', paths),
    install: 'npm install --prefix bench',
  },
  // Its GRU resets after the product.
  inPython('torch', 'PyTorch', { works: allWorks.filter((work) => !work.startsWith('gru-reset-before')) }),
  inPython('jax', 'JAX'),
  // The RNN without gates is the others' matter: nobody picks TensorFlow for it.
  inPython('keras', 'Keras', { works: gatedWorks, packages: 'keras tensorflow-cpu' }),
];

/** One system at one trial, in one way of expressing the work, with one number of threads: a process of its own. */
export interface Case {
  system: System;
  tier?: string;
  threads: number;
}

/** Every case of a system that can express a trial's work, with 1 and with all threads, or with all alone where the trial asks for it. */
export function casesOf(system: System, { work, allThreadsOnly }: Pick<Trial, 'work' | 'allThreadsOnly'>, allThreads: number): Case[] {
  const ways = system.ways.filter(({ works }) => works.includes(work));
  const counts = allThreadsOnly ? [allThreads] : [...new Set([1, allThreads])];
  return ways.flatMap(({ tier }) => (system.threaded ? counts : [1]).map((threads) => ({ system, tier, threads })));
}
