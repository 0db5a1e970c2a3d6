// Which language is a name of a country or a language from? Sequences of 2 to 74 letters, each as long as it is: an embedding and a GRU
// that reads the steps that count both ways, against naive Bayes over runs of three letters. About twenty seconds on two cores.
//
//   --epochs 20   --seed 1   --names 4504   how many are used
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  Adam,
  crossEntropyLoss,
  Dropout,
  Embedding,
  fit,
  Generator,
  GRU,
  type Labels,
  Linear,
  type LossOptions,
  makeBatches,
  padSequences,
  Sequential,
  type Tensor,
} from 'evenkeel';

interface Name {
  letters: string[];
  label: number;
}

const { epochs, seed, names: limit } = readOptions();
const generator = new Generator(seed);
const hiddenSize = 96;
const languages = ['de', 'nl', 'sv', 'fi', 'fr', 'es', 'it', 'pl', 'hu', 'tr'];
const { train, test } = split(readNames().slice(0, limit));
const alphabet = ['', ...new Set(train.flatMap(({ letters }) => letters))];
console.log(
  `${train.length} names to learn from, ${test.length} of other places and languages to test with, ${languages.length} languages`,
);
const bayes = naiveBayes(train);
const baseline = accuracyOf(test.map(({ letters }) => bayes(letters)));
console.log(`naive Bayes over runs of three letters: ${percent(baseline)} right`);

const model = new Sequential({
  embedding: new Embedding({ vocabularySize: alphabet.length, embeddingSize: 32, generator }),
  dropoutOfLetters: new Dropout({ p: 0.2, generator }),
  rnn: new GRU({ inputSize: 32, hiddenSize, bidirectional: true, returnSequences: false, generator }),
  dropout: new Dropout({ p: 0.5, generator }),
  head: new Linear({ inputSize: 2 * hiddenSize, outputSize: languages.length, generator }),
});
const { input, lengths } = padSequences(train.map(symbols));
const batches = makeBatches(
  input,
  train.map(({ label }) => label),
  { batchSize: 32, lengths, generator },
);
const optimizer = new Adam(model.parameters(), { learningRate: 3e-3 });
const began = performance.now();
for (let epoch = 1; epoch <= epochs; epoch++) {
  const { loss } = await fit(model, batches, { loss: smoothed, optimizer, clip: { maxNorm: 1 }, generator });
  const mean = loss.reduce((sum, value) => sum + value, 0) / loss.length;
  console.log(`epoch ${epoch}: loss ${mean.toFixed(3)}, ${percent(accuracyOf(predict(test)))} right`);
  optimizer.learningRate *= 0.9;
}
const accuracy = accuracyOf(predict(test));
const seconds = ((performance.now() - began) / 1000).toFixed(0);
console.log(`the GRU: ${percent(accuracy)} right, beside ${percent(baseline)} of naive Bayes, after ${seconds} s`);

/** A tenth of each target goes to all languages alike. */
function smoothed(logits: Tensor, labels: Labels, options?: LossOptions) {
  return crossEntropyLoss(logits, labels, { ...options, labelSmoothing: 0.1 });
}

/** 0 is a letter that was never seen. */
function symbols({ letters }: Name): number[] {
  return letters.map((letter) => Math.max(0, alphabet.indexOf(letter)));
}

function predict(names: Name[]): number[] {
  const padded = padSequences(names.map(symbols));
  const { data } = model.predict(padded.input, { lengths: padded.lengths });
  return names.map((_, row) => largest(Array.from(data.subarray(row * languages.length, (row + 1) * languages.length))));
}

/** P(language | letters) ∝ Π P(third letter | two before it, language), counts plus a tenth. */
function naiveBayes(names: Name[]): (letters: string[]) => number {
  const runs = ({ letters }: Pick<Name, 'letters'>): string[] => {
    const padded = ['^', '^', ...letters, '$'];
    return padded.slice(2).map((_, i) => padded.slice(i, i + 3).join(''));
  };
  const counts = languages.map(() => new Map<string, number>());
  for (const name of names) {
    const own = counts[name.label] as Map<string, number>;
    for (const run of runs(name)) for (const part of [run, run.slice(0, 2)]) own.set(part, (own.get(part) ?? 0) + 1);
  }
  const smoothing = 0.1;
  const score = (own: Map<string, number>, run: string): number =>
    Math.log(((own.get(run) ?? 0) + smoothing) / ((own.get(run.slice(0, 2)) ?? 0) + smoothing * alphabet.length));
  return (letters) => largest(counts.map((own) => runs({ letters }).reduce((sum, run) => sum + score(own, run), 0)));
}

function accuracyOf(labels: number[]): number {
  return labels.filter((label, i) => label === test[i]?.label).length / labels.length;
}

function largest(values: number[]): number {
  return values.indexOf(Math.max(...values));
}

function readNames(): { what: string; name: Name }[] {
  const file = new URL('examples/data/names.csv', import.meta.resolve('evenkeel/package.json'));
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => {
      const [, what = '', language = '', name = ''] = /^([^,]*),([^,]*),"?(.*?)"?$/.exec(line) ?? [];
      return { what, name: { letters: [...name], label: languages.indexOf(language) } };
    });
}

/** A fifth of the places and languages is for the test, in all languages: none of them was seen in another one. */
function split(rows: { what: string; name: Name }[]): { train: Name[]; test: Name[] } {
  const whats = [...new Set(rows.map(({ what }) => what))];
  const forTest = new Set(whats.filter(() => generator.uniform() < 0.2));
  const part = (isTest: boolean): Name[] => rows.filter(({ what }) => forTest.has(what) === isTest).map(({ name }) => name);
  return { train: part(false), test: part(true) };
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function readOptions(): Record<'epochs' | 'seed' | 'names', number> {
  const options = {
    epochs: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    names: { type: 'string', default: '4504' },
  } as const;
  const { values } = parseArgs({ options });
  return { epochs: Number(values.epochs), seed: Number(values.seed), names: Number(values.names) };
}
