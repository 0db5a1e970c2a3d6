// A model that Keras trained, brought over, tried on new sequences, and trained on: whether the numbers of a sequence sum to more than 0.
// examples/data/signs.py made the file. Reading it takes two packages: npm install fflate jsfive
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Adam, bceWithLogitsLoss, fit, fromKeras, Generator, makeBatches, padSequences, Tensor } from 'evenkeel';

const root = dirname(createRequire(import.meta.url).resolve('evenkeel/package.json'));
const generator = new Generator(7);

/** Sequences of 5 to 30 numbers, and whether they sum to more than 0. */
function makeSequences(count: number) {
  const sequences = Array.from({ length: count }, () => Array.from({ length: 5 + generator.integer(26) }, () => [generator.normal()]));
  const signs = sequences.map((sequence) => [sequence.reduce((sum, [value = 0]) => sum + value, 0) > 0 ? 1 : 0]);
  return { ...padSequences(sequences), target: Tensor.from(signs) };
}

// Without the sigmoid at its end, since losses here take logits.
const { model, lengthsOf, notes } = await fromKeras(join(root, 'examples/data/signs.keras'), { logits: true });
for (const { name, value } of model.parameters()) console.log(`${name} [${value.shape.join(', ')}]`);
for (const note of notes) console.log(note);

const { input, target, lengths } = makeSequences(1000);
// Keras tells by its Masking which steps count, and here lengths do: they agree.
console.log(`lengths agree: ${lengthsOf(input)?.every((length, row) => length === lengths[row])}`);

function accuracy(): number {
  const logits = model.predict?.(input, { lengths }) as Tensor;
  return logits.data.filter((logit, row) => logit > 0 === (target.data[row] as number) > 0).length / logits.data.length;
}

console.log(`as Keras trained it: ${(100 * accuracy()).toFixed(1)} % of 1000 new sequences right`);
const more = makeSequences(2000);
const batches = makeBatches(more.input, more.target, { batchSize: 50, lengths: more.lengths, generator });
const optimizer = new Adam(model.parameters(), { learningRate: 0.003, eps: 1e-7 });
await fit(model, batches, { loss: bceWithLogitsLoss, optimizer, epochs: 3 });
console.log(`trained on here: ${(100 * accuracy()).toFixed(1)} %`);
