/** One line of a live display, cut to the terminal: what matters most stays, the bar has what is left. */
import { shorten } from '../report/text';

const widestBar = 40;
/** Shorter ones would not be read. */
const narrowest = 8;

/** @param progress from 0 to 1 @param after such as the time left: cut only when the bar and the title are gone */
export function barLine(progress: number, before: string, after: string, columns: number): string {
  // The last column stays empty: some terminals break the line there.
  const width = columns - 1;
  const titleRoom = width - after.length - 1;
  const title = before === '' || titleRoom < narrowest ? '' : `${shorten(before, titleRoom)} `;
  const room = Math.min(widestBar, width - title.length - after.length - 3);
  const done = Math.round(Math.min(1, Math.max(0, progress)) * room);
  const bar = room < narrowest ? '' : `[${'='.repeat(done)}${'-'.repeat(room - done)}] `;
  return `${title}${bar}${after}`.slice(0, width);
}

/** As many of the parts, the most important first, as fit. */
export function joinFitting(parts: readonly string[], width: number): string {
  return parts.reduce((line, part) => {
    const longer = line === '' ? part : `${line}, ${part}`;
    return line === '' || longer.length <= width ? longer : line;
  }, '');
}
