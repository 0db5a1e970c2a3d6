import { isUtf8 } from 'node:buffer';
import { type CST, LineCounter, Parser, parseDocument } from 'yaml';
import { fileFault, quote, readWhole } from './file';

/** What such files say is short; whoever needs more than this sends something else. */
const MAX_BYTES = 200_000;
/** How often anchors may be repeated: lists of numbers need no more, and nested ones grow beyond all memory. */
const MAX_ALIASES = 100;
/** Lists of objects of lists; the library's composer is recursive, and overflows a stack at some thousands. */
const MAX_DEPTH = 20;
/** of what the parser says, which may quote the file */
const MESSAGE_LENGTH = 160;

/** How errors name what a file should hold. */
export interface YamlWords {
  /** such as `definition` */
  what: string;
  /** of one, such as `"lengths: [10, 100]"` */
  example: string;
  /** what to do with a second one in the same file: a full sentence */
  second: string;
}

/**
 * The plain value that a JSON or YAML file holds (JSON is YAML).
 * @throws EvenkeelError ERR_FILE for a file that is no JSON or YAML, with its line
 */
export function readYaml(path: string, words: YamlWords): unknown {
  const bytes = readWhole(path, MAX_BYTES);
  if (!isUtf8(bytes)) fileFault(path, 'JSON or YAML as text in UTF-8', 'other bytes');
  return parse(path, bytes.toString('utf8'), words);
}

function parse(path: string, text: string, { what, example, second }: YamlWords): unknown {
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
    if (fault.code === 'MULTIPLE_DOCS') fileFault(place, `one ${what}`, 'a second one', second);
    return fileFault(place, 'JSON or YAML', quote(fault.message, MESSAGE_LENGTH));
  }
  if (document.contents === null) fileFault(path, `a ${what} such as ${example}`, 'a file without one');
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (cause) {
    return fileFault(path, `a plain ${what} in JSON or YAML`, quote((cause as Error).message));
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
