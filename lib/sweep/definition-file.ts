import { isUtf8 } from 'node:buffer';
import { dirname } from 'node:path';
import { type CST, LineCounter, Parser, parseDocument } from 'yaml';
import { EvenkeelError } from '../errors';
import { checkPath, fileFault, quote, readWhole } from '../io/file';
import { atOnce, type Slices } from '../slices';
import { type CheckedDefinition, definitionInSlices } from './definition';

/** A definition lists values; whoever needs more than this sends something else. */
const MAX_BYTES = 200_000;
/** How often anchors may be repeated: lists of numbers need no more, and nested ones grow beyond all memory. */
const MAX_ALIASES = 100;
/** A definition has lists of objects of lists; the library's composer is recursive, and overflows a stack at some thousands. */
const MAX_DEPTH = 20;
/** of what the parser says, which may quote the file */
const MESSAGE_LENGTH = 160;

/**
 * Reads and checks a definition from a JSON or YAML file (JSON is YAML). The CSV files that it names must lie in its folder or below.
 * @throws EvenkeelError ERR_FILE for a file that is no JSON or YAML, with its line; ERR_OPTION with the place in the definition
 */
export function readDefinition(path: string): CheckedDefinition {
  return atOnce(definitionFileInSlices(path));
}

/** What {@link readDefinition} does. */
export function* definitionFileInSlices(path: string): Slices<CheckedDefinition> {
  const bytes = readWhole(checkPath('definition', path), MAX_BYTES);
  if (!isUtf8(bytes)) fileFault(path, 'JSON or YAML as text in UTF-8', 'other bytes');
  const definition = parse(path, bytes.toString('utf8'));
  try {
    return yield* definitionInSlices(definition, dirname(path));
  } catch (cause) {
    if (!(cause instanceof EvenkeelError)) throw cause;
    throw new EvenkeelError(cause.code, `${path}: ${cause.message}`, { cause });
  }
}

function parse(path: string, text: string): unknown {
  for (const token of new Parser().parse(text)) {
    if (token.type === 'document' && isDeeper(token.value, MAX_DEPTH)) fileFault(path, `at most ${MAX_DEPTH} levels of nesting`, 'more');
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  // Warnings, such as an unknown !tag, are mistakes here.
  const [fault] = [...document.errors, ...document.warnings];
  if (fault !== undefined) {
    const { line, col } = lines.linePos(fault.pos[0]);
    const place = `${path}, line ${line}, column ${col}`;
    if (fault.code === 'MULTIPLE_DOCS') fileFault(place, 'one definition', 'a second one', 'Make it a file of its own, and a sweep.');
    return fileFault(place, 'JSON or YAML', quote(fault.message, MESSAGE_LENGTH));
  }
  if (document.contents === null) fileFault(path, 'a definition such as "lengths: [10, 100]"', 'a file without one');
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (cause) {
    return fileFault(path, 'a plain definition in JSON or YAML', quote((cause as Error).message));
  }
}

/** Level by level, without recursion. */
function isDeeper(root: CST.Token | undefined, levels: number): boolean {
  let tokens = root === undefined ? [] : [root];
  for (let level = 0; tokens.length > 0; level++) {
    if (level > levels) return true;
    tokens = tokens.flatMap((token) =>
      'items' in token
        ? token.items.flatMap(({ key, value }) => [key, value].filter((child) => child !== undefined && child !== null))
        : [],
    );
  }
  return false;
}
