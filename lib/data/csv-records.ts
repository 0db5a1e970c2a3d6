import { parse } from 'csv-parse/sync';
import { fileFault } from '../io/file';

const DELIMITERS: Readonly<Record<string, string>> = { ',': 'comma', ';': 'semicolon', '\t': 'tab' };

/** Bytes taken at a time: some thousand rows, a few milliseconds. */
const SLICE = 2 ** 17;
/** Characters; whoever writes a longer line has forgotten a double quote. */
const LONGEST_RECORD = 2 ** 22;

/** Is given the cells of each record, without spaces around them, and how many lines it stands on; an empty line is one empty cell. */
export type Take = (cells: string[], lines: number) => void;

/**
 * Goes through the records of a CSV file, the header first, and stops after each slice of it, so that a caller can let others have their turn.
 * @param bytes UTF-8, with or without byte order mark
 * @param delimiter between cells
 * @throws CsvError for misplaced double quotes; EvenkeelError ERR_FILE for a line without end
 */
export function* readRecords(path: string, bytes: Uint8Array, delimiter: string, take: Take): Generator<void, void> {
  const decoder = new TextDecoder();
  let rest = '';
  for (let at = 0; at < bytes.length; at += SLICE) {
    const text = rest + decoder.decode(bytes.subarray(at, at + SLICE), { stream: true });
    const end = endOfRecords(text) || endOfHopeless(path, text);
    parseSlice(text.slice(0, end), delimiter, take);
    rest = text.slice(end);
    yield;
  }
  parseSlice(rest, delimiter, take);
}

/** Where the last whole record ends: behind a line end outside double quotes. A carriage return at the very end may be half of one. */
function endOfRecords(text: string): number {
  const pieces = text.split('"');
  let end = text.length;
  for (let i = pieces.length - 1; i >= 0; i--) {
    const piece = pieces[i] as string;
    const begin = end - piece.length;
    if (i % 2 === 0) {
      const last = Math.max(piece.lastIndexOf('\n'), piece.lastIndexOf('\r', text.length - 2 - begin));
      // lastIndexOf takes a negative place for the first.
      if (last >= 0 && begin + last < text.length - (piece[last] === '\r' ? 1 : 0)) return begin + last + 1;
    }
    end = begin - 1;
  }
  return 0;
}

/** A record that has become too long is parsed for what is wrong with its quotes. */
function endOfHopeless(path: string, text: string): number {
  if (text.length <= LONGEST_RECORD) return 0;
  if (text.includes('"')) return text.length;
  return fileFault(path, `lines of at most ${LONGEST_RECORD} characters`, 'a longer one');
}

/** Text without a double quote needs no parser, which is several times slower. */
function parseSlice(text: string, delimiter: string, take: Take): void {
  if (text.includes('"')) parseQuoted(text, delimiter, take);
  else {
    const lines = text.split(text.includes('\r') ? /\r\n|\n|\r/ : '\n');
    if (lines.at(-1) === '') lines.pop();
    for (const line of lines) take(line.split(delimiter).map(trim), 1);
  }
}

function parseQuoted(text: string, delimiter: string, take: Take): void {
  parse(text, {
    delimiter,
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    trim: delimiter !== ' ',
    on_record: (cells: string[]) => {
      take(
        cells,
        cells.reduce((lines, cell) => lines + (cell.match(/\r\n|\n|\r/g)?.length ?? 0), 1),
      );
      return null;
    },
  });
}

/** Spaces as csv-parse has them: a no-break space is none. */
function trim(cell: string): string {
  return isSpace(cell.charCodeAt(0)) || isSpace(cell.charCodeAt(cell.length - 1)) ? cell.replace(/^[ \t\f]+|[ \t\f]+$/g, '') : cell;
}

function isSpace(code: number): boolean {
  return code === 32 || code === 9 || code === 12;
}

/**
 * The one delimiter that stands in the header line outside quotes.
 * @param ifNone the delimiter of a file with one column
 */
export function findDelimiter(path: string, bytes: Uint8Array, ifNone: string): string {
  const found = new Set<string>();
  let quoted = false;
  for (const byte of bytes) {
    const character = String.fromCharCode(byte);
    if (character === '"') quoted = !quoted;
    else if (!quoted && (character === '\n' || character === '\r')) break;
    else if (!quoted && Object.hasOwn(DELIMITERS, character)) found.add(character);
  }
  const [delimiter = ifNone, second] = found;
  if (second !== undefined) {
    fileFault(
      `${path}, line 1`,
      'one kind of delimiter',
      `${DELIMITERS[delimiter]} and ${DELIMITERS[second]}`,
      'Put column names that contain one of them in double quotes, or give the delimiter.',
    );
  }
  return delimiter;
}
