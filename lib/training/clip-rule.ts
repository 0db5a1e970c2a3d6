import { checkNumber, fail, readOptions, readSafely } from '../check';
import { scaleToNorm } from '../clipping/clip-grad-norm';
import { clampToValue } from '../clipping/clip-grad-value';
import type { Clipper } from '../clipping/clipper';
import { checkNormType, gradNorms } from '../clipping/norms';
import type { Parameter } from '../parameter';

/** How fit clips: all gradients by their norm, each element by its magnitude, or by a rule with a memory. */
export type Clip = { maxNorm: number; normType?: 1 | 2 | typeof Infinity } | { clipValue: number } | Clipper;

/** Clips gradients whose 2-norm is known, and returns whether that changed them. */
export type ClipRule = (parameters: readonly Parameter[], norm: number) => boolean;

/** Checks fit's `clip` option and turns it into a rule. */
export function makeClipRule(clip: unknown): ClipRule {
  if (clip === undefined) return () => false;
  if (isClipper(clip)) return (parameters) => checkClipped(clip.clip(parameters));
  const given = readOptions('clip', clip, ['maxNorm', 'normType', 'clipValue']);
  const { maxNorm, clipValue, normType = 2 } = given;
  if ((maxNorm === undefined) === (clipValue === undefined)) fail('ERR_OPTION', 'clip', 'either maxNorm or clipValue', clip);
  return clipValue === undefined ? byNorm(maxNorm, normType) : byValue(clipValue, given.normType);
}

function byNorm(max: unknown, type: unknown): ClipRule {
  const maxNorm = checkNumber('clip.maxNorm', max, { min: 0 });
  const normType = checkNormType('clip.normType', type);
  return (parameters, norm) => scaleToNorm(parameters, normType === 2 ? norm : gradNorms(parameters, normType).total, maxNorm);
}

function byValue(value: unknown, normType: unknown): ClipRule {
  const clipValue = checkNumber('clip.clipValue', value, { min: 0 });
  if (normType !== undefined) fail('ERR_OPTION', 'clip.normType', 'no norm type with clipValue', normType);
  return (parameters) => clampToValue(parameters, clipValue);
}

function isClipper(clip: unknown): clip is Clipper {
  return readSafely('clip', () => typeof (clip as Partial<Clipper> | null)?.clip === 'function');
}

function checkClipped(result: unknown): boolean {
  const clipped = readSafely('clip.clip()', () => (result as { clipped?: unknown } | null | undefined)?.clipped);
  if (typeof clipped !== 'boolean') fail('ERR_OPTION', 'clip.clip()', '{ norm, threshold, clipped: boolean }', result);
  return clipped;
}
