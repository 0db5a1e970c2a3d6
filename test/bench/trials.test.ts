import type { Work } from '../../lib/bench/protocol';
import { casesOf, systems } from '../../lib/bench/systems';
import { selectTrials, trials } from '../../lib/bench/trials';

const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id);

describe('the table of trials', () => {
  test('every row has a name of its own', () => {
    expect(new Set(ids(trials)).size).toBe(trials.length);
  });

  test.each([
    '32,50,10,20',
    '32,200,64,128',
    '32,200,256,256',
    '64,100,512,512',
    '1,1000,64,128',
    '32,100,1024,1024',
    '32,5000,10,20',
    '1,100000,1,32',
  ])('%s is trained, run forward and backward', (shape) => {
    for (const work of ['train', 'forward', 'backward', 'rnn']) expect(ids(trials)).toContain(`${work} ${shape}`);
  });

  test("DeepBench's vanilla training set is whole", () => {
    const wanted = [1760, 2048, 2560].flatMap((hidden) => [16, 32, 64, 128].map((batch) => `train ${batch},50,${hidden},${hidden}`));
    expect(ids(trials)).toEqual(expect.arrayContaining(wanted));
  });

  test('LayerNorm alone is named by rows and size, and its sequences make up these rows', () => {
    const alone = trials.filter(({ work }) => work === 'layer-norm');
    expect(ids(alone)).toEqual(['layer-norm 1600,20', 'layer-norm 6400,128', 'layer-norm 6400,1024', 'layer-norm 100000,256']);
    for (const { id, n, t, h } of alone) expect(id).toBe(`layer-norm ${n * t},${h}`);
  });

  test('each placement of an inner LayerNorm is trained at two shapes', () => {
    const placed = trials.filter(({ work }) => work === 'placement');
    expect(placed).toHaveLength(8);
    for (const { id, placement, n, t, i, h } of placed) expect(id).toBe(`placement ${placement} ${n},${t},${i},${h}`);
  });

  test.each(['lstm', 'gru', 'layer-norm-lstm'])('a %s is trained and run forward at eight shapes, and step by step at three', (cell) => {
    const count = (work: string) => trials.filter((trial) => trial.work === work).length;
    expect([count(`${cell}-train`), count(`${cell}-forward`), count(`${cell}-step`)]).toEqual([8, 8, 3]);
    expect(ids(trials)).toEqual(expect.arrayContaining([`${cell}-train 1,10000,1,32`, `${cell}-step 1,100,64,128`]));
  });

  test('a GRU that resets before its product is trained at three shapes, and PyTorch has none', () => {
    const before = trials.filter(({ work }) => work.startsWith('gru-reset-before'));
    expect(ids(before)).toEqual(['32,50,10,20', '32,200,64,128', '32,200,256,256'].map((shape) => `gru-reset-before-train ${shape}`));
    const can = systems.filter(({ ways }) => ways.some(({ works }) => works.includes('gru-reset-before-train')));
    expect(can.map(({ id }) => id)).toEqual(['evenkeel', 'tfjs-cpu', 'tfjs-wasm', 'tfjs-node', 'jax', 'keras']);
  });

  test('a filter and the short run narrow it', () => {
    expect(ids(selectTrials({ filter: 'backward 1,' }))).toEqual(['backward 1,1000,64,128', 'backward 1,100000,1,32']);
    expect(selectTrials({ filter: 'no such trial' })).toEqual([]);
    const short = selectTrials({ quick: true });
    expect(ids(short)).toContain('train 32,50,10,20');
    expect(short.length).toBeLessThan(4);
  });
});

describe('the cases of a system', () => {
  const casesOfSystem = (id: string, work: Work, threads: number, allThreadsOnly = false) => {
    const system = systems.find((one) => one.id === id);
    if (system === undefined) throw new Error(`no system ${id}`);
    return casesOf(system, { work, allThreadsOnly }, threads).map((one) => `${one.tier ?? ''} ${one.threads}`.trim());
  };

  test('one and all threads, once where they are the same', () => {
    expect(casesOfSystem('torch', 'train', 8)).toEqual(['1', '8']);
    expect(casesOfSystem('torch', 'train', 1)).toEqual(['1']);
    expect(casesOfSystem('torch', 'train', 8, true)).toEqual(['8']);
    expect(casesOfSystem('jax-js', 'train', 8, true)).toEqual(['1']);
    expect(casesOfSystem('jax-js', 'train', 8)).toEqual(['1']);
  });

  test('each way of expressing the work, where it can express it', () => {
    expect(casesOfSystem('tfjs-wasm', 'train', 8)).toEqual(['layers 1', 'autodiff 1', 'manual 1']);
    expect(casesOfSystem('tfjs-wasm', 'forward', 8)).toEqual(['layers 1', 'autodiff 1']);
    expect(casesOfSystem('jax-js', 'backward', 8)).toEqual([]);
    expect(casesOfSystem('tfjs-node', 'train', 2)).toHaveLength(6);
    expect(casesOfSystem('keras', 'lstm-step', 2)).toEqual(['1', '2']);
    expect(casesOfSystem('keras', 'train', 2)).toEqual([]);
    expect(casesOfSystem('tfjs-wasm', 'lstm-train', 2)).toEqual(['layers 1', 'autodiff 1', 'manual 1']);
    expect(casesOfSystem('tfjs-wasm', 'gru-step', 2)).toEqual(['autodiff 1']);
  });
});
