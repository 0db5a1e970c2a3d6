// A language model of letters: an embedding and two LSTM layers read Moby-Dick and say which letter comes next, in bits per character on chapters
// that they have not seen, beside a count of runs of letters (interpolated Witten-Bell, the best of orders 2 to 6). Then they write.
// About a minute on two cores.
//
//   --epochs 26   --seed 1   --temperature 0.7   --characters 169394   how many are read
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Adam, crossEntropyLoss, Dropout, Embedding, fit, Generator, Linear, LSTM, Sequential, Tensor } from 'evenkeel';

const [batchSize, steps, hiddenSize] = [16, 50, 128];
const { epochs, seed, temperature, characters } = readOptions();
const generator = new Generator(seed);
const file = new URL('examples/data/moby-dick.txt', import.meta.resolve('evenkeel/package.json'));
const text = [...readFileSync(file, 'utf8')].slice(0, characters);
const alphabet = [...new Set(text)].sort();
const code = new Map(alphabet.map((letter, i) => [letter, i]));
const symbols = text.map((letter) => code.get(letter) as number);
const [train, test] = [symbols.slice(0, Math.floor(0.9 * symbols.length)), symbols.slice(Math.floor(0.9 * symbols.length))];
console.log(`${train.length} characters to learn from, ${test.length} to test with, ${alphabet.length} different ones`);
const counts = [2, 3, 4, 5, 6].map((order) => ({ order, bits: bitsOfCounts(order) }));
const baseline = counts.reduce((best, other) => (other.bits < best.bits ? other : best));
console.log(`runs of letters: ${counts.map(({ order, bits }) => `${bits.toFixed(3)} (order ${order})`).join(', ')} bits per character`);

// Each of the rows goes on where its last batch ended, and so do the layers' states.
const model = new Sequential({
  embedding: new Embedding({ vocabularySize: alphabet.length, embeddingSize: 48, generator }),
  first: new LSTM({ inputSize: 48, hiddenSize, stateful: true, forgetBias: 1, generator }),
  dropout: new Dropout({ p: 0.2, generator }),
  second: new LSTM({ inputSize: hiddenSize, hiddenSize, stateful: true, forgetBias: 1, generator }),
  dropoutOfSecond: new Dropout({ p: 0.2, generator }),
  head: new Linear({ inputSize: hiddenSize, outputSize: alphabet.length, generator }),
});
const optimizer = new Adam(model.parameters(), { learningRate: 5e-3 });
const began = performance.now();
for (let epoch = 1; epoch <= epochs; epoch++) {
  resetStates();
  const { loss } = await fit(model, windowsOf(train, batchSize), { loss: crossEntropyLoss, optimizer, clip: { maxNorm: 1 }, generator });
  const mean = loss.reduce((sum, value) => sum + value, 0) / loss.length / Math.LN2;
  console.log(`epoch ${epoch}: ${mean.toFixed(3)} bits per character in training, ${bitsOfModel().toFixed(3)} in the test`);
  optimizer.learningRate *= 0.94;
}
const bits = bitsOfModel();
const seconds = ((performance.now() - began) / 1000).toFixed(0);
console.log(
  `two LSTM layers: ${bits.toFixed(3)} bits per character, beside ${baseline.bits.toFixed(3)} of runs of letters, after ${seconds} s`,
);
console.log(`\n${write('It was ', 400)}`);

function* windowsOf(list: number[], rows: number) {
  const perRow = Math.floor((list.length - 1) / rows);
  for (let start = 0; start + steps <= perRow; start += steps) {
    const input = Tensor.zeros([rows, steps]);
    const target = new Int32Array(rows * steps);
    for (let i = 0; i < rows * steps; i++) {
      const place = Math.floor(i / steps) * perRow + start + (i % steps);
      input.data[i] = list[place] as number;
      target[i] = list[place + 1] as number;
    }
    yield { input, target };
  }
}

/** One sequence from the first test character to the last; the model's states do not notice. */
function bitsOfModel(): number {
  const carried = model.carriedState();
  resetStates();
  const input = Tensor.from([test.slice(0, -1)]);
  const { value } = crossEntropyLoss(model.predict(input), test.slice(1));
  model.loadCarriedState(carried);
  return value / Math.LN2;
}

function resetStates(): void {
  for (const layer of Object.values(model.layers)) if (layer instanceof LSTM) layer.resetState();
}

/** Letters drawn from softmax(logits / temperature), one after the other. */
function write(start: string, count: number): string {
  resetStates();
  const written = [...start];
  let next = written.map((letter) => code.get(letter) ?? 0);
  for (let i = 0; i < count; i++) {
    const logits = model.forward(Tensor.from([next]), { training: false });
    const last = Array.from(logits.data.subarray(logits.size - alphabet.length), (z) => z / temperature);
    const most = Math.max(...last);
    const weights = last.map((z) => Math.exp(z - most));
    let rest = generator.uniform() * weights.reduce((sum, w) => sum + w, 0);
    let drawn = -1;
    while (rest >= 0 && drawn + 1 < weights.length) rest -= weights[++drawn] as number;
    next = [drawn];
    written.push(alphabet[next[0] as number] as string);
  }
  return written.join('');
}

/** P(c | context) = (count(context c) + distinct · P(c | shorter context)) / (count(context) + distinct), down to 1/V. */
function bitsOfCounts(order: number): number {
  const seen = new Map<string, Map<number, number>>();
  const contextOf = (list: number[], i: number, length: number): string => `${length}:${list.slice(i - length, i).join()}`;
  for (let i = 0; i < train.length; i++) {
    for (let length = 0; length < Math.min(order, i + 1); length++) {
      const context = contextOf(train, i, length);
      const after = seen.get(context) ?? new Map<number, number>();
      after.set(train[i] as number, (after.get(train[i] as number) ?? 0) + 1);
      seen.set(context, after);
    }
  }
  const totals = new Map([...seen].map(([context, after]) => [context, [...after.values()].reduce((sum, n) => sum + n, 0)]));
  let sum = 0;
  for (let i = order; i < test.length; i++) {
    let p = 1 / alphabet.length;
    for (let length = 0; length < order; length++) {
      const context = contextOf(test, i, length);
      const after = seen.get(context);
      if (after === undefined) break;
      p = ((after.get(test[i] as number) ?? 0) + after.size * p) / ((totals.get(context) as number) + after.size);
    }
    sum -= Math.log2(p);
  }
  return sum / (test.length - order);
}

function readOptions(): Record<'epochs' | 'seed' | 'temperature' | 'characters', number> {
  const text = (value: string) => ({ type: 'string', default: value }) as const;
  const { values } = parseArgs({ options: { epochs: text('26'), seed: text('1'), temperature: text('0.7'), characters: text('169394') } });
  const { epochs, seed, temperature, characters } = values;
  return { epochs: Number(epochs), seed: Number(seed), temperature: Number(temperature), characters: Number(characters) };
}
