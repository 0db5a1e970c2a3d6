import { type Comparison, type Verdict, verdict } from '../../lib/bench/results';
import { centralRange, ratioOverRounds } from '../../lib/bench/statistics';

const rival = { system: 'jax', title: 'JAX', threads: 1 };
const compare = (...ratios: number[]): Comparison => ({
  rival,
  ...ratioOverRounds(
    ratios,
    ratios.map(() => 1),
  ),
});

test.each<[string, number[], Verdict]>([
  ['every round says so', [0.5, 0.55, 0.6], 'faster'],
  ['every round says the other', [1.5, 1.55, 1.6], 'slower'],
  ['some rounds say faster and some slower', [0.8, 0.9, 1.1, 1.2, 0.9, 1.3], 'draw'],
  ['one noisy round among many', [0.54, 0.55, 0.53, 0.54, 0.56, 0.54, 0.55, 7], 'faster'],
  ['one noisy round among many, the other way', [1.8, 1.9, 0.1, 1.8, 1.7], 'slower'],
  ['one round of three disagrees', [0.54, 0.55, 1.1], 'draw'],
  ['two rounds of eight disagree', [0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 1.1, 1.2], 'draw'],
  ['all agree on less than two percent', [0.99, 0.99, 0.985, 0.99, 0.99], 'draw'],
  ['all agree on less than two percent, the other way', [1.01, 1.015, 1.01, 1.01, 1.01], 'draw'],
  ['all agree on a little more', [0.97, 0.97, 0.97, 0.97, 0.97], 'faster'],
  ['two rounds only, however far apart', [0.01, 0.01], 'undecided'],
  ['a single round', [100], 'undecided'],
])('%s', (_, ratios, expected) => {
  expect(verdict(compare(...ratios))).toBe(expected);
});

test('faster and slower are one rule: who is whose rival does not matter', () => {
  const opposite: Record<Verdict, Verdict> = { faster: 'slower', slower: 'faster', draw: 'draw', undecided: 'undecided' };
  for (const edge of [0.4, 0.9, 0.979, 0.981, 0.99, 1]) {
    const ratios = [edge, edge * 0.99, edge, edge, edge * 1.01];
    expect(verdict(compare(...ratios.map((ratio) => 1 / ratio)))).toBe(opposite[verdict(compare(...ratios))]);
  }
});

test.each([
  [[3, 1, 2], { low: 1, high: 3, rounds: 3 }],
  [[5, 4, 3, 2, 1], { low: 2, high: 4, rounds: 5 }],
  [Array.from({ length: 11 }, (_, i) => i), { low: 1, high: 9, rounds: 11 }],
  [Array.from({ length: 21 }, (_, i) => i), { low: 2, high: 18, rounds: 21 }],
])('the range of %j is from its p10 to its p90, by whole rounds', (values, expected) => {
  expect(centralRange(values)).toEqual(expected);
});
