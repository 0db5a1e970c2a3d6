import type { Trial } from '../../lib/bench/protocol';
import type { BenchResults, CaseResult, Timing, TrialResult } from '../../lib/bench/results';
import { compareWithBest } from '../../lib/bench/runner';
import { trials } from '../../lib/bench/trials';

const mebibyte = 2 ** 20;

/** Rounds around a median, their ratio to it as given. */
export function timing(median: number, rounds: readonly number[] = [0.98, 1, 1.02]): Timing {
  const times = rounds.map((part) => median * part);
  return {
    median,
    min: 0.95 * median,
    p10: 0.96 * median,
    p90: 1.2 * median,
    calls: 10 * rounds.length,
    rounds: times,
    slow: rounds.length < 3,
    firstCallMs: 3 * median,
    baseBytes: 50 * mebibyte,
    peakBytes: 60 * mebibyte,
  };
}

export function timedCase(system: string, title: string, median: number, overrides: Partial<CaseResult> = {}): CaseResult {
  return { system, title, threads: 1, outcome: 'timed', version: `${title} 1.2.3`, timing: timing(median), counts: true, ...overrides };
}

export function untimedCase(
  title: string,
  outcome: CaseResult['outcome'],
  reason: string,
  overrides: Partial<CaseResult> = {},
): CaseResult {
  return { system: title.toLowerCase(), title, threads: 1, outcome, reason, counts: false, ...overrides };
}

export function trialResult(cases: CaseResult[], overrides: Partial<TrialResult> = {}): TrialResult {
  return {
    trial: trials[0] as Trial,
    floor: { flop: 5e7, bytes: 2e6, milliseconds: 0.1 },
    reference: { loss: 1, norm: 2 },
    cases,
    comparison: compareWithBest(cases),
    ...overrides,
  };
}

/** One trial each that evenkeel wins (by 2), draws and loses (by 1.5). */
export function winDrawLoss(): TrialResult[] {
  const against = (median: number, index: number, rounds?: number[]) =>
    trialResult(
      [
        timedCase('evenkeel', 'evenkeel', 1, { threads: 2 }),
        timedCase('jax', 'JAX', median, { timing: timing(median, rounds) }),
        timedCase('tfjs-node', 'TF.js node', 9, { tier: 'layers' }),
      ],
      { trial: trials[index] as Trial },
    );
  return [against(2, 0), against(1, 1, [0.9, 1, 1.1]), against(1 / 1.5, 2)];
}

export function benchResults(overrides: Partial<BenchResults> = {}): BenchResults {
  return {
    schema: 'evenkeel/bench',
    schemaVersion: 1,
    interrupted: false,
    date: '2026-01-02T03:04:05.678Z',
    seconds: 90,
    options: { quick: false, systems: ['evenkeel', 'tfjs-node', 'jax'], budgetSeconds: 20, limitSeconds: 10 },
    environment: {
      evenkeel: '1.2.3',
      node: 'v20.19.0',
      platform: 'linux x64',
      kernel: '6.1.0',
      cpu: 'a CPU',
      threads: 2,
      caches: [
        { level: 1, type: 'Data', bytes: 32 * 1024, sharedBy: '0' },
        { level: 3, type: 'Unified', bytes: 32 * mebibyte, sharedBy: '0-1' },
      ],
      memoryBytes: 8 * 2 ** 30,
      simdTarget: 'avx2',
      blas: 'a BLAS',
    },
    floor: [
      { threads: 1, fmaGflops: 111, gemmGflops: 101, readGBs: 12.3, copyGBs: 9.87 },
      { threads: 2, fmaGflops: 222, gemmGflops: 202, readGBs: 23.4, copyGBs: 18.7 },
    ],
    trials: winDrawLoss(),
    ...overrides,
  };
}
