/** A whole study, from options to results. */
import { cpus } from 'node:os';
import type { Progress } from '../progress';
import { runtimeInfo } from '../runtime';
import { clippingSetUp, runClipping } from './clip-rules';
import { clipTrialsSetUp, runClipTrials } from './clip-trials';
import { depthSetUp, runDepth } from './depth';
import { findingsOf } from './findings';
import { gridSetUp, runGrid } from './grid';
import { measuring } from './measuring';
import { referenceSetUp, runReference } from './reference';
import { regimesSetUp, runRegimes } from './regimes';
import { type Environment, type StudyOptions, type StudyPart, type StudyResults, schemaVersion, studyParts } from './results';
import { type PreparedSeries, runSeries } from './series';

/**
 * Runs all parts. An aborted signal does not throw: the results then hold what had finished, and say that they were interrupted.
 * @throws EvenkeelError ERR_NON_FINITE when training leaves the range of numbers
 */
export async function runStudy(
  options: StudyOptions,
  series: PreparedSeries,
  progress: Progress,
  signal?: AbortSignal,
): Promise<StudyResults> {
  const plan = options.full ? 'full' : 'quick';
  const { draws, cell } = options;
  const results: StudyResults = {
    schema: 'evenkeel/study',
    schemaVersion,
    interrupted: false,
    date: new Date().toISOString(),
    seconds: 0,
    options,
    environment: environment(),
    reference: { ...referenceSetUp, systems: [] },
    grid: { plan, cell, ...gridSetUp, draws, timeSteps: options.length, cells: [] },
    regimes: { plan, ...regimesSetUp, draws, runs: [] },
    depth: { cell, ...depthSetUp, seeds: draws, timeSteps: options.length, designs: [] },
    clipTrials: { plan, ...clipTrialsSetUp, draws, trials: [] },
    clipping: { ...clippingSetUp, rules: [] },
    findings: [],
    series: series.part,
  };
  // The text's examples and claims are about an RNN.
  const isText = cell === 'rnn';
  const { parts = studyParts } = options;
  const run: Record<StudyPart, () => Promise<void>> = {
    reference: () => runReference(options, results.reference.systems, progress, signal),
    regimes: async () => {
      if (isText) await runRegimes(results.regimes, options.seed, progress, signal);
    },
    grid: () => runGrid(results.grid, options.seed, progress, signal),
    depth: () => runDepth(results.depth, options.seed, progress, signal),
    clipping: async () => {
      if (!isText) return;
      await runClipTrials(results.clipTrials, options.seed, progress, signal);
      await runClipping(options.seed, results.clipping.rules, progress, signal);
    },
    series: () => runSeries(series, options, progress, signal),
  };
  await measuring(results, signal, async () => {
    for (const part of studyParts) if (parts.includes(part)) await run[part]();
  });
  if (isText) results.findings = findingsOf(results);
  return results;
}

/** Where results come from. */
export function environment(): Environment {
  const { version, node, platform, arch, threads, simdTarget, blas } = runtimeInfo();
  return { evenkeel: version, node, platform: `${platform} ${arch}`, cpu: cpus()[0]?.model.trim() ?? 'unknown', threads, simdTarget, blas };
}
