import { claims } from '../../lib/study/claims';
import {
  clipOfExample3,
  clipWhereGradientsExplode,
  findingsOf,
  growthAfter,
  placementMends,
  stabilityBefore,
  verdictText,
} from '../../lib/study/findings';
import {
  clipOnSeries,
  describeRegimes,
  forecastVerdict,
  headline,
  leadSentences,
  noteOnNormBefore,
  whatHolds,
} from '../../lib/study/summary';
import { clipTrial, clipTrials, drawn, gridOf, referenceRun, regimeRun, regimeRuns, seriesRun, studyResults } from './synthetic';

const stayed = referenceRun('after', 0.5, 0.49);

describe('Example 1, "rapidly increasing gradient norms with each training step"', () => {
  test('does not hold for norms that stay, and the settings in which they grow are named', () => {
    expect(growthAfter(regimeRuns())).toMatchObject({
      verdict: 'does not hold',
      measured: expect.stringMatching(
        /Over 10 draws the norm is 0\.50 at the first step and at most ×1\.01 of that \(1\.00 to 1\.02\).*Adam at 1\.0 \(×30\.0\)/,
      ),
    });
  });

  test('holds for norms that more than double', () => {
    expect(growthAfter(regimeRuns(2.1))?.verdict).toBe('holds');
    expect(growthAfter(regimeRuns(2.001))?.verdict).toBe('does not hold');
  });
});

test.each([
  ['holds', 1],
  ['does not hold', 5],
])('Example 2, "remains stable": "%s" for a largest norm of %p times the first', (verdict, peak) => {
  expect(stabilityBefore([regimeRun('text', 'before', peak)])?.verdict).toBe(verdict);
});

test.each([
  ['does not hold', 1, 1],
  ['holds', 9, 1],
  ['does not hold', 9, 9],
])('"applied before rather than after avoids the issue" %s', (verdict, after, before) => {
  expect(placementMends([regimeRun('text', 'after', after), regimeRun('text', 'before', before)])?.verdict).toBe(verdict);
});

describe('Example 3, "prevents the gradients from becoming excessively large"', () => {
  test('is not tested where the clip never acts, and equality with Example 1 is said', () => {
    const finding = clipOfExample3(stayed, referenceRun('after-clipped', 0.5, 0.49));
    expect(finding).toMatchObject({
      verdict: 'not tested by',
      where: 'Example 3',
      measured: expect.stringContaining('never acts: the norm is at most 0.500'),
    });
    expect(finding.measured).toContain('equal those of Example 1 in every single step');
    expect(verdictText(finding)).toBe('Not tested by Example 3');
  });

  test('equality is not said where it is not so', () => {
    expect(clipOfExample3(stayed, referenceRun('after-clipped', 0.5, 0.48)).measured).not.toContain('equal');
  });

  test('holds where the clip acts', () => {
    expect(clipOfExample3(referenceRun('after', 0.5, 50), referenceRun('after-clipped', 0.5, 50))).toMatchObject({
      verdict: 'holds',
      measured: expect.stringContaining('acts in 85 of 100 steps; before clipping, the norm is at most 50.0'),
    });
  });
});

describe('where gradients explode', () => {
  test('the clip is judged by optimiser', () => {
    expect(clipWhereGradientsExplode(clipTrials())).toMatchObject({
      verdict: 'holds where',
      where: 'the optimiser is SGD 0.1',
      measured: expect.stringContaining('On noise: SGD 0.1 60000 → 1.80; Adam 0.001 1.99 → 1.99.'),
    });
  });

  test.each([
    [1.8, 2, 'holds'],
    [1.995, 2, 'does not hold'],
    [1.8, Number.POSITIVE_INFINITY, 'holds'],
    [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 'does not hold'],
  ])('a last loss of %p with it and %p without: %s', (limited, free, verdict) => {
    expect(clipWhereGradientsExplode([clipTrial('SGD 0.1', 'no clip', free), clipTrial('SGD 0.1', 'norm 1', limited)])?.verdict).toBe(
      verdict,
    );
  });
});

test('of an interrupted study only what is there is judged', () => {
  const { reference, grid, regimes, clipTrials } = studyResults();
  const nothing = {
    reference: { ...reference, systems: [] },
    grid: { ...grid, cells: [] },
    regimes: { ...regimes, runs: [] },
    clipTrials: { ...clipTrials, trials: [] },
  };
  expect(findingsOf(nothing)).toEqual([]);
  expect(findingsOf({ ...nothing, grid })).toHaveLength(claims.length);
  expect(findingsOf({ ...nothing, regimes })).toHaveLength(3);
  expect(findingsOf({ reference, grid, regimes, clipTrials })).toHaveLength(claims.length + 5);
});

describe('the summary', () => {
  const withGrid = (cells: ReturnType<typeof gridOf>) => studyResults({ grid: { ...studyResults().grid, cells } });

  test('the headline says where a LayerNorm makes gradients grow', () => {
    expect(headline(studyResults())).toBe(
      'LayerNorm after an RNN does not make its gradients explode; before the activation or on the state it can',
    );
    expect(headline(withGrid(gridOf({ preactivation: 0.1, output: 0.1 })))).toBe(
      'LayerNorm after the RNN, before the activation or on the state can make an RNN’s gradients explode',
    );
    expect(headline(withGrid(gridOf().slice(0, 6)))).toBe('No place of a LayerNorm made an RNN’s gradients grow');
    expect(headline(withGrid([]))).toContain('Stopped before');
  });

  test('the lead says what the text claims, and what was measured of each place', () => {
    const [text, after, ...others] = leadSentences(studyResults());
    expect(text).toMatch(/^A text on exploding gradients says .* Measured:$/);
    expect(after).toBe(
      'After the RNN: gradients grow that do not without it in 0 of 5 designs (10 draws each), and the rate differs by more than 0.001 per step in 0 of 5 designs; in the text’s Example 1 the norm is 0.500 at step 1, 0.500 at step 100, and its clip never acts.',
    );
    expect(others).toEqual([
      'Before the activation: gradients grow that do not without it, in 2 of 5 designs; with 256 units, PyTorch’s start and standard normal input by +0.020 ± 0.005 per step back, ×55 over 200 steps.',
      'On the state: gradients grow that do not without it, in 1 of 5 designs; of 256 units, orthogonal ×1.0, by +0.070 ± 0.005 per step back, ×1.20e6 over 200 steps.',
      'Before the RNN or on both parts before the activation: in none of 5 designs.',
      'Clipping at 1.0, where gradients do explode: the loss ends at 1.80 instead of 60000 by SGD 0.1, 1.99 instead of 1.99 by Adam 0.001.',
    ]);
  });

  test('what the text gets right is said with its numbers', () => {
    const words = whatHolds(studyResults()).join(' ');
    expect(words).toContain('in 1 of 5 designs that are calm without it, by up to +0.070 ± 0.005 per step');
    expect(words).toContain('1 of 1 kind of training by SGD and 0 of 1 kind of training by Adam end lower with the clip at 1.0.');
    expect(words).toContain(
      'with relu, T = 200, Adam at 0.01 the states grew to 4.00e32, in 1 of 2 draws beyond 1e6, while no gradient norm exceeded 0.70',
    );
  });

  test('and nothing that was not measured', () => {
    const results = studyResults();
    const calm = results.regimes.runs.map((run) => ({ ...run, largestStates: [1, 2] }));
    const unsaved = [clipTrial('SGD 0.1', 'no clip', 2), clipTrial('SGD 0.1', 'norm 1', 2)];
    const words = whatHolds({
      ...results,
      regimes: { ...results.regimes, runs: calm },
      clipTrials: { ...results.clipTrials, trials: unsaved },
    }).join(' ');
    expect(words).not.toMatch(/the states grew|mitigate/);
  });

  test('Example 1 in other settings: what grows is named with its factor, and nothing is said that is not so', () => {
    const runs = regimeRuns();
    expect(describeRegimes(runs)).toMatch(
      /^With LayerNorm after the RNN the gradient norm does grow with Adam at 1\.0 \(×30\.0\); SGD at 10 \(×30\.0\); .*With relu, T = 200, Adam at 0\.01 the states grew to 4\.00e32/,
    );
    expect(describeRegimes(runs)).not.toContain('the other way round');
    const broken = runs.map((run) => ({ ...run, notFinite: 1, lastNormsBeforeNotFinite: [0.0959] }));
    expect(describeRegimes(broken)).toContain('1 ended with what is not finite, at a gradient norm of at most 0.096 in the step before');
    const tiny = runs.map((run) => ({ ...run, largestStates: [0.03, 0.0421] }));
    expect(describeRegimes(tiny)).toContain('Adam at 1.0 (×30.0, where no state exceeds 0.042');
    const huge = runs.map((run) => (run.regime === 'relu-orthogonal' && run.system === 'none' ? { ...run, lnFirst: drawn(5) } : run));
    expect(describeRegimes(huge)).toContain('the first norm is 148 without a LayerNorm, and 0.50 with one after the RNN.');
    const calm = regimeRuns(1, 1).map((run) => ({ ...run, largestStates: [1] }));
    expect(describeRegimes(calm)).toBe(
      'In none of these settings does the gradient norm come to twice its first value with LayerNorm after the RNN.',
    );
  });

  const forecasts = (none: number, before: number) => ({
    ...studyResults().series,
    systems: [seriesRun('none', none), seriesRun('before', before)],
  });

  test('forecasts are held against the better baseline', () => {
    expect(forecastVerdict(forecasts(1, 1.9))).toBe(
      'Every system forecasts the real series better than repeating the last value (test error 2.000).',
    );
    expect(forecastVerdict(forecasts(1, 1.99))).toMatch(/^1 of 2 systems forecast .* not so: LayerNorm before \(Example 2\)\.$/);
    expect(forecastVerdict(forecasts(2, 3))).toMatch(/^No system forecasts .* not worth their training\.$/);
    const meanIsBetter = { ...forecasts(2, 2), baselines: { lastValue: 4, trainingMean: 3 } };
    expect(forecastVerdict(meanIsBetter)).toContain('predicting the training mean (test error 3.000)');
  });

  test('the clip is weighed against Example 1 where it acted', () => {
    const after = seriesRun('after', 2.5);
    const clipped = { ...seriesRun('after-clipped', 2.25), clippedSteps: 7 };
    const series = studyResults().series;
    expect(clipOnSeries({ ...series, systems: [after, clipped] })).toBe(
      'On the series the clip acted in 7 of 100 steps (test error 2.250 with it, 2.500 without).',
    );
    expect(clipOnSeries({ ...series, systems: [after, { ...clipped, clippedSteps: 0 }] })).toBe('On the series the clip never acted.');
    expect(clipOnSeries({ ...series, systems: [after] })).toBeUndefined();
  });

  test('Example 2 doing worse than no normalisation is explained, and only that', () => {
    expect(noteOnNormBefore(forecasts(1, 2))).toContain('common level of the columns');
    expect(noteOnNormBefore({ ...forecasts(1, 2), columns: ['a'] })).toContain('nothing of it is left');
    expect(noteOnNormBefore(forecasts(2, 2))).toBeUndefined();
    expect(noteOnNormBefore({ ...forecasts(1, 2), systems: [seriesRun('none', 1)] })).toBeUndefined();
  });
});
