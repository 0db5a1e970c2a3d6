import { claims } from '../../lib/study/claims';
import {
  clippingMends,
  clippingStabilizes,
  findingsOf,
  growthAfter,
  placementMends,
  stabilityBefore,
  verdictText,
} from '../../lib/study/findings';
import { clipOnSeries, forecastVerdict, headline, leadSentences, noteOnNormBefore } from '../../lib/study/summary';
import { clippingRun, depthDesigns, referenceRun, seriesRun, studyResults } from './synthetic';

const stayed = referenceRun('after', 0.5, 0.49);
const grew = referenceRun('after', 0.5, 50);
const shrank = referenceRun('after', 0.5, 0.1);

describe('Example 1, "rapidly increasing gradient norms with each training step"', () => {
  test('does not hold for norms that stay or shrink', () => {
    expect(growthAfter(stayed)).toMatchObject({
      verdict: 'does not hold',
      measured: expect.stringContaining('stayed about where it was: 0.500 at step 1, 0.490 at step 100'),
    });
    expect(growthAfter(shrank)).toMatchObject({ verdict: 'does not hold', measured: expect.stringContaining('rose in 0 of 99 steps') });
  });

  test('holds for norms that grow in most steps', () => {
    expect(growthAfter(grew)).toMatchObject({
      verdict: 'holds',
      measured: expect.stringContaining('rose in 99 of 99 steps and was never above 50.0'),
    });
  });

  test('holds only where the norm leaps', () => {
    const leap = { ...grew, gradNorm: grew.gradNorm.map((_, i) => (i < 50 ? 1 - i / 1000 : 9 - i / 1000)) };
    expect(growthAfter(leap)).toMatchObject({
      verdict: 'holds where',
      where: 'the norm leaps',
      measured: expect.stringContaining('rose in 1 of 99'),
    });
  });
});

test.each([
  ['Holds', 0.5],
  ['Holds where stable means that nothing grows', 0.1],
  ['Does not hold', 5],
])('Example 2, "remains stable": "%s" for a norm that goes from 0.5 to %p', (verdict, last) => {
  expect(verdictText(stabilityBefore(referenceRun('before', 0.5, last)))).toBe(verdict);
});

test.each([
  ['does not hold', stayed, 0.5],
  ['does not hold', shrank, 0.5],
  ['holds', grew, 0.5],
  ['does not hold', grew, 50],
])('"applied before rather than after avoids the issue" %s', (verdict, after, last) => {
  expect(placementMends(after, referenceRun('before', 0.5, last)).verdict).toBe(verdict);
});

describe('Example 3, "prevents the gradients from becoming excessively large"', () => {
  test('is not tested where the clip never acts, and equality with Example 1 is said', () => {
    const finding = clippingMends(stayed, referenceRun('after-clipped', 0.5, 0.49));
    expect(finding).toMatchObject({
      verdict: 'not tested by',
      where: 'Example 3',
      measured: expect.stringContaining('Clipping never acted: the norm was at most 0.500'),
    });
    expect(finding.measured).toContain('equal those of Example 1 in every single step');
  });

  test('equality is not said where it is not so', () => {
    const other = referenceRun('after-clipped', 0.5, 0.48);
    expect(clippingMends(stayed, other).measured).not.toContain('equal');
  });

  test('holds where the clip acts', () => {
    expect(clippingMends(grew, referenceRun('after-clipped', 0.5, 50))).toMatchObject({
      verdict: 'holds',
      measured: expect.stringContaining('Clipping acted in 85 of 100 steps; before clipping, the norm was at most 50.0'),
    });
  });
});

test.each([
  [1.8, 2, 'holds'],
  [1.9, 2, 'does not hold'],
  [2.1, 2, 'does not hold'],
])('"a mitigation", with a last loss of %p under the clip and %p without, %s', (limited, free, verdict) => {
  const finding = clippingStabilizes(clippingRun('none', free), clippingRun('norm', limited));
  expect(finding).toMatchObject({
    verdict,
    measured: expect.stringContaining('acted in 100 of 100 steps; before it, the norm was 1.00e10'),
  });
});

test('of an interrupted study only what is there is judged', () => {
  const { reference, depth, clipping } = studyResults();
  const nothing = { reference: { ...reference, systems: [] }, depth: { ...depth, designs: [] }, clipping: { ...clipping, rules: [] } };
  expect(findingsOf(nothing)).toEqual([]);
  const one = { ...nothing, reference: { ...reference, systems: [referenceRun('none', 1, 1), stayed] } };
  expect(findingsOf(one).map(({ meaning }) => meaning.slice(0, 9))).toEqual(['Example 1']);
  expect(findingsOf({ ...nothing, depth })).toHaveLength(claims.length);
  expect(findingsOf({ reference, depth, clipping })).toHaveLength(claims.length + 5);
});

describe('the summary', () => {
  const { reference, depth } = studyResults();
  const noDepth = { ...depth, designs: [] };
  const withAfter = (after: typeof stayed) => studyResults({ reference: { ...reference, systems: [after] }, depth: noDepth });
  const withRates = (rates: Parameters<typeof depthDesigns>[0]) => studyResults({ depth: { ...depth, designs: depthDesigns(rates) } });

  test('the headline says where a LayerNorm makes gradients explode', () => {
    expect(headline(studyResults())).toBe('Gradients can explode with LayerNorm on the state, not with LayerNorm after the RNN');
    expect(headline(withRates({ 'recurrent-input': 0.1, hidden: 0.1 }))).toContain('LayerNorm on what is fed back or on the state, not');
    expect(headline(withRates({ output: 0.1, hidden: 0.1 }))).toBe('Gradients can explode with LayerNorm after the RNN or on the state');
    expect(headline(withRates({}))).toBe('No place of a LayerNorm made gradients explode over 200 steps');
    // What explodes without a LayerNorm is not its doing.
    expect(headline(withRates({ none: 0.2, hidden: 0.1 }))).toBe('No place of a LayerNorm made gradients explode over 200 steps');
  });

  test('the lead names the designs that explode, the fastest first, and counts the others', () => {
    expect(leadSentences(studyResults())).toContain(
      'Of 28 designs, 3 seeds each, with the loss on the last of 200 steps, 1 explodes: hidden with orthogonal ×1.5 (×1.11 per step, beyond float32 in 880 steps).',
    );
    const four = leadSentences(withRates({ none: 0.1, input: 0.3, output: 0.2, hidden: 0.15 }));
    expect(four).toMatch(/4 explode: input with .*, output with .*, hidden with .*, 1 more\./);
    expect(leadSentences(withRates({}))).toContain('none explodes.');
  });

  test('without depth in time, the headline follows the training', () => {
    expect(headline(withAfter(stayed))).toBe('LayerNorm after the RNN did not make gradients explode');
    expect(headline(withAfter(grew))).toMatch(/gradients grew by a factor of 6\d\./);
    expect(headline(studyResults({ reference: { ...reference, systems: [] }, depth: noDepth }))).toContain('Stopped before');
  });

  test('the lead says what the clip did', () => {
    expect(leadSentences(studyResults())).toContain(
      'Clipping at 1.0 (Example 3) never acted, so that Example 3 equals Example 1 at every step.',
    );
    const systems = [grew, referenceRun('after-clipped', 0.5, 40)];
    expect(leadSentences(studyResults({ reference: { ...studyResults().reference, systems } }))).toMatch(
      /Clipping at 1\.0 \(Example 3\) acted in \d+ of 100 steps\.$/,
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
