import { clippingMends, findingsOf, growthAfter, placementMends, stabilityBefore } from '../../lib/study/findings';
import { clipOnSeries, forecastVerdict, headline, leadSentences, noteOnNormBefore } from '../../lib/study/summary';
import { referenceRun, seriesRun, studyResults } from './synthetic';

const stayed = referenceRun('after', 0.5, 0.49);
const grew = referenceRun('after', 0.5, 50);
const shrank = referenceRun('after', 0.5, 0.1);

describe('Example 1, "rapidly increasing gradient norms with each training step"', () => {
  test('is contradicted by norms that stay or shrink', () => {
    expect(growthAfter(stayed)).toMatchObject({
      agreement: 'contradicted',
      measured: expect.stringContaining('stayed about where it was: 0.500 at step 1, 0.490 at step 100'),
    });
    expect(growthAfter(shrank)).toMatchObject({ agreement: 'contradicted', measured: expect.stringContaining('rose in 0 of 99 steps') });
  });

  test('is confirmed by norms that grow in most steps', () => {
    expect(growthAfter(grew)).toMatchObject({
      agreement: 'confirmed',
      measured: expect.stringContaining('rose in 99 of 99 steps and was never above 50.0'),
    });
  });

  test('is partly confirmed by one leap', () => {
    const leap = { ...grew, gradNorm: grew.gradNorm.map((_, i) => (i < 50 ? 1 - i / 1000 : 9 - i / 1000)) };
    expect(growthAfter(leap)).toMatchObject({ agreement: 'partly confirmed', measured: expect.stringContaining('rose in 1 of 99') });
  });
});

test.each([
  ['confirmed', 0.5],
  ['partly confirmed', 0.1],
  ['contradicted', 5],
])('Example 2, "remains stable", is %s by a norm that goes from 0.5 to %p', (agreement, last) => {
  expect(stabilityBefore(referenceRun('before', 0.5, last)).agreement).toBe(agreement);
});

test.each([
  ['not borne out', stayed, 0.5],
  ['not borne out', shrank, 0.5],
  ['confirmed', grew, 0.5],
  ['contradicted', grew, 50],
])('"applied before rather than after avoids the issue" is %s', (agreement, after, last) => {
  expect(placementMends(after, referenceRun('before', 0.5, last)).agreement).toBe(agreement);
});

describe('Example 3, "prevents the gradients from becoming excessively large"', () => {
  test('is not borne out where the clip never acts, and equality with Example 1 is said', () => {
    const finding = clippingMends(stayed, referenceRun('after-clipped', 0.5, 0.49));
    expect(finding).toMatchObject({
      agreement: 'not borne out',
      measured: expect.stringContaining('Clipping never acted: the norm was at most 0.500'),
    });
    expect(finding.measured).toContain('equal those of Example 1 in every single step');
  });

  test('equality is not said where it is not so', () => {
    const other = referenceRun('after-clipped', 0.5, 0.48);
    expect(clippingMends(stayed, other).measured).not.toContain('equal');
  });

  test('is confirmed where the clip acts', () => {
    expect(clippingMends(grew, referenceRun('after-clipped', 0.5, 50))).toMatchObject({
      agreement: 'confirmed',
      measured: expect.stringContaining('Clipping acted in 85 of 100 steps; before clipping, the norm was at most 50.0'),
    });
  });
});

test('of an interrupted study only what is there is judged', () => {
  expect(findingsOf([])).toEqual([]);
  expect(findingsOf([referenceRun('none', 1, 1), stayed]).map(({ about }) => about)).toEqual(['Example 1, LayerNorm after the RNN']);
  expect(findingsOf(studyResults().reference.systems)).toHaveLength(4);
});

describe('the summary', () => {
  const withAfter = (after: typeof stayed) => studyResults({ reference: { ...studyResults().reference, systems: [after] } });

  test('the headline follows the measurement', () => {
    expect(headline(withAfter(stayed))).toBe('LayerNorm after the RNN did not make gradients explode');
    expect(headline(withAfter(grew))).toMatch(/gradients grew by a factor of 6\d\./);
    expect(headline(studyResults({ reference: { ...studyResults().reference, systems: [] } }))).toContain('Stopped before');
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
