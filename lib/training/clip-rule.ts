import { checkNumber, fail, readOptions, readSafely } from '../check';
import { checkMaxNorm, scaleToNorm } from '../clipping/clip-grad-norm';
import { clampToValue } from '../clipping/clip-grad-value';
import type { Clipper, ClipResult } from '../clipping/clipper';
import { checkNormType, gradNorms } from '../clipping/norms';
import type { Parameter } from '../parameter';

/** How fit clips: all gradients by their norm, each element by its magnitude, or by a rule of its own such as {@link AutoClip}. */
export type Clip = { maxNorm: number; normType?: 1 | 2 | typeof Infinity } | { clipValue: number } | Clipper;

/** Clips gradients whose 2-norm is known. */
export type ClipRule = (parameters: readonly Parameter[], norm: number) => Pick<ClipResult, 'threshold' | 'clipped'>;

/** Checks fit's `clip` option and turns it into a rule. */
export function makeClipRule(clip: unknown): ClipRule {
  if (clip === undefined) return () => ({ threshold: Number.POSITIVE_INFINITY, clipped: false });
  if (isClipper(clip)) return (parameters) => checkClipResult(clip.clip(parameters));
  const given = readOptions('clip', clip, ['maxNorm', 'normType', 'clipValue']);
  const { maxNorm, clipValue, normType = 2 } = given;
  if ((maxNorm === undefined) === (clipValue === undefined)) fail('ERR_OPTION', 'clip', 'either maxNorm or clipValue', clip);
  return clipValue === undefined ? byNorm(maxNorm, normType) : byValue(clipValue, given.normType);
}

function byNorm(max: unknown, type: unknown): ClipRule {
  const threshold = checkMaxNorm('clip.maxNorm', max);
  const normType = checkNormType('clip.normType', type);
  return (parameters, norm) => ({
    threshold,
    clipped: scaleToNorm(parameters, normType === 2 ? norm : gradNorms(parameters, normType).total, threshold),
  });
}

function byValue(value: unknown, normType: unknown): ClipRule {
  const threshold = checkNumber('clip.clipValue', value, { min: 0 });
  if (normType !== undefined) fail('ERR_OPTION', 'clip.normType', 'no norm type with clipValue', normType);
  return (parameters) => ({ threshold, clipped: clampToValue(parameters, threshold) });
}

/** Whether `clip` is a rule of its own: anything with a method `clip`. */
export function isClipper(clip: unknown): clip is Clipper {
  return readSafely('clip', () => typeof (clip as Partial<Clipper> | null | undefined)?.clip === 'function');
}

function checkClipResult(result: unknown): Pick<ClipResult, 'threshold' | 'clipped'> {
  const { threshold, clipped } = readSafely('clip.clip()', () => ({ ...(result as Partial<ClipResult> | null | undefined) }));
  if (typeof threshold !== 'number' || typeof clipped !== 'boolean') {
    fail('ERR_OPTION', 'clip.clip()', '{ norm: number, threshold: number, clipped: boolean }', result);
  }
  return { threshold, clipped };
}
