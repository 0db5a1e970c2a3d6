import { copyFileSync, linkSync, rmSync } from 'node:fs';
import { parse, resolve } from 'node:path';
import { EvenkeelError } from '../errors';
import { linkTarget, removeQuietly, renameOver } from '../io/atomic-file';
import { isThere, rethrow } from '../io/file';
import { loadState, saveState } from '../io/safetensors';
import { loadParts, type Parts, stateOfParts } from './part';

/** `run.safetensors` with something before its ending: `run.1.safetensors`, `run.best.safetensors`. */
export function besides(path: string, word: string | number): string {
  const { ext } = parse(path);
  return `${path.slice(0, path.length - ext.length)}.${word}${ext}`;
}

/**
 * Writes a checkpoint, and keeps those before it. At no moment is there none that is whole: those before it make way only after it is written.
 * @param keep how many there are then, at most
 * @param isSpoilt whether what is at the path was passed over by loadNewest: then it is not kept
 */
export function saveParts(path: string, keep: number, parts: Parts, isSpoilt = false): void {
  const before = besides(path, 0);
  try {
    const isKept = keep > 1 && !isSpoilt && keepNewest(path, before);
    saveState(path, stateOfParts(parts));
    if (isKept) makeWay(path, keep, before);
  } catch (cause) {
    if (keep > 1) removeQuietly(before);
    rethrow('write', path, cause);
  }
}

/** Whether there is one, which then has the second name. */
function keepNewest(path: string, second: string): boolean {
  // A link to a symbolic link would lead to the newest one for ever.
  const newest = linkTarget(path);
  if (!isThere(newest)) return false;
  rmSync(second, { force: true });
  giveSecondName(newest, second);
  return true;
}

function makeWay(path: string, keep: number, before: string): void {
  for (let i = keep - 2; i >= 1; i--) if (isThere(besides(path, i))) renameOver(besides(path, i), besides(path, i + 1));
  renameOver(before, besides(path, 1));
}

/** Whether two paths lead to the same file. */
export function areSame(one: string, other: string): boolean {
  if (one === other) return true;
  try {
    return linkTarget(resolve(one)) === linkTarget(resolve(other));
  } catch {
    return false;
  }
}

/** Some file systems have no links. */
function giveSecondName(path: string, second: string): void {
  try {
    linkSync(path, second);
  } catch {
    copyFileSync(path, second);
  }
}

/**
 * Loads the newest checkpoint that is whole and fits, and warns of those that are passed over.
 * @param keep how many there may be
 * @returns the path of the one that was loaded; undefined where there is none at all
 * @throws EvenkeelError ERR_FILE with the reasons, where there are some and none will do; then nothing is changed
 */
export function loadNewest(path: string, keep: number, parts: Parts): string | undefined {
  const numbered = Array.from({ length: Math.max(keep, MOST) }, (_, i) => besides(path, i + 1));
  const reasons: string[] = [];
  for (const candidate of [path, ...numbered].filter(isThere)) {
    try {
      loadParts(parts, loadState(candidate));
    } catch (error) {
      if (!(error instanceof EvenkeelError)) throw error;
      reasons.push(error.message.startsWith(candidate) ? error.message : `${candidate}: ${error.message}`);
      continue;
    }
    for (const reason of reasons) process.emitWarning(`${reason} Going on from ${candidate}.`, { code: 'EVENKEEL_CHECKPOINT' });
    return candidate;
  }
  if (reasons.length > 0) throw new EvenkeelError('ERR_FILE', reasons.join(' '));
  return undefined;
}

/** As many are looked for even if fewer shall be kept from now on. */
const MOST = 20;
