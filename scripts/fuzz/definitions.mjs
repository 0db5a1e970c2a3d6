// Sweep definitions: as objects, and as files in JSON and YAML.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { internal } from './calls.mjs';
import { json, mutateBytes, mutateJson } from './random.mjs';

const { checkDefinition } = internal('sweep/definition');
const { readDefinition } = internal('sweep/definition-file');
const { isGrid } = internal('sweep/schema');

/** Definitions that are right; what is wrong with the others is up to chance. */
const GOOD = [
  { lengths: [5, 10], seeds: [1, 2], steps: 1 },
  {
    lengths: [5],
    placements: ['none', 'input', 'hidden'],
    kinds: ['layer', 'rms'],
    recurrentInitializers: ['orthogonal'],
    inputInitializers: ['glorot', { name: 'uniform', gain: 2 }],
    gains: [1, 1.5],
    clips: ['none', { maxNorm: 1 }, { clipValue: 2 }, 'autoclip', { stateGradientLimit: 1 }],
    sizes: [{ batchSize: 1, inputSize: 2, hiddenSize: 3 }],
    tasks: ['reference', 'adding', 'copy'],
    nonlinearities: ['tanh', 'relu'],
    learningRate: 0.1,
    dtype: 'float64',
  },
  { lengths: [5], tasks: [{ csv: 'a.csv', target: 'a' }] },
];
const YAML = [
  'lengths: [5, 10]\nseeds: &s [1, 2]\nsteps: 1\n',
  'lengths:\n  - 5\nclips:\n  - maxNorm: 1.0\n  - none\n',
  'lengths: !!set {5}\n',
  '%YAML 1.2\n---\nlengths: [1]\n...\n',
];

export async function prepare(folder, calls) {
  writeFileSync(join(folder, 'a.csv'), `a,b\n${'1,2\n3,4\n5,7\n'.repeat(20)}`);
  const file = join(folder, 'sweep.yaml');
  const isRight = (name, checked) => {
    if (checked !== undefined)
      calls.expect(
        name,
        isGrid(checked.grid),
        `it gave a grid that its own store would refuse: ${JSON.stringify(checked.grid)?.slice(0, 500)}`,
      );
  };

  return async (random) => {
    let definition = random.pick(GOOD);
    for (let changes = 1 + random.below(3); changes > 0; changes--) definition = mutateJson(random, definition);
    if (random.chance(0.02)) definition = json(random);
    isRight(
      'checkDefinition',
      calls.run('checkDefinition', () => checkDefinition(definition, folder)),
    );
    const written = random.chance(0.5)
      ? Buffer.from(JSON.stringify(definition) ?? '')
      : mutateBytes(random, Buffer.from(random.pick(YAML)));
    writeFileSync(file, written);
    isRight(
      'readDefinition',
      calls.run('readDefinition', () => readDefinition(file)),
    );
  };
}
