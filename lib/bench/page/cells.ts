/** What several tables show of a case. */
import { formatDuration } from '../../report/text';
import type { CaseResult } from '../results';

export function time(one: CaseResult | undefined): string {
  return one?.timing === undefined ? '–' : formatDuration(one.timing.median);
}

/** The largest memory of the process, less what it held before the data and the model were made. */
export function memory({ timing }: CaseResult): number {
  return timing === undefined ? Number.NaN : Math.max(0, timing.peakBytes - timing.baseBytes);
}
