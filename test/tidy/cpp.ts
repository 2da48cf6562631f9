// SPDX-License-Identifier: BSD-3-Clause
//
// As much understanding of C++ as the house rules need: code without comments and literals, the
// includes of a file, and the lengths of its functions, found by matching braces.

const literals = new RegExp(
  [
    String.raw`//[^\n]*`,
    String.raw`/\*[\s\S]*?\*/`,
    String.raw`R"\([\s\S]*?\)"`,
    String.raw`"(?:\\.|[^"\\\n])*"`,
    // A quote between digits separates them.
    String.raw`(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'`,
  ].join('|'),
  'g',
);

/** The text with comments and literals blanked, line by line, so that positions stay. */
export function stripCpp(text: string): string {
  const blank = (match: string): string => match.replace(/[^\n]/g, ' ');
  return text.replace(literals, blank);
}

export interface Include {
  readonly name: string;
  readonly isSystem: boolean;
  readonly line: number;
}

export function includesOf(text: string): Include[] {
  return text.split('\n').flatMap((line, index) => {
    const match = /^\s*#\s*include\s*([<"])([^>"]+)[>"]/.exec(line);
    if (match === null) return [];
    return [{ name: match[2] ?? '', isSystem: match[1] === '<', line: index + 1 }];
  });
}

export interface FunctionLength {
  readonly line: number;
  readonly lines: number;
  readonly header: string;
}

const scopes = /^\s*(inline\s+|export\s+)?(namespace|class|struct|union|enum|extern)\b/;
/** The end of a header whose next brace opens a member's initialiser, not the body. */
const inInitialisers = /\)\s*(noexcept\s*)?:(?!:)[\s\S]*[\w>]\s*$/;

function lineAt(text: string, position: number): number {
  return text.slice(0, position).split('\n').length;
}

/** The position behind the brace that matches the one at `open`. */
function skipBraces(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === '{') depth += 1;
    else if (text[at] === '}' && --depth === 0) return at + 1;
  }
  return text.length;
}

function withoutPreprocessor(text: string): string {
  return text.replace(/^[ \t]*#(?:[^\n]*\\\n)*[^\n]*/gm, (match) => match.replace(/[^\n]/g, ' '));
}

/**
 * Every function with a body (lambdas count as part of theirs), from its header to its last brace.
 */
export function functionLengths(source: string): FunctionLength[] {
  const text = withoutPreprocessor(stripCpp(source));
  const found: FunctionLength[] = [];
  let start = 0;
  let at = 0;
  while (at < text.length) {
    const character = text[at];
    if (character === ';' || character === '}') start = at + 1;
    if (character !== '{') {
      at += 1;
      continue;
    }
    const header = text.slice(start, at);
    if (inInitialisers.test(header)) {
      at = skipBraces(text, at);
      continue;
    }
    const isScope = scopes.test(header.replace(/^\s*template\s*<[^{;]*?>\s*(?=class|struct)/, ''));
    if (isScope && !/\)\s*$/.test(header)) {
      at += 1;
      start = at;
      continue;
    }
    const end = skipBraces(text, at);
    if (header.includes('(')) {
      const first = start + header.search(/\S/);
      const line = lineAt(text, first);
      found.push({ line, lines: lineAt(text, end) - line + 1, header: header.trim() });
    }
    at = end;
    // An initialiser in braces is followed by more of the same declaration.
    start = at;
  }
  return found;
}
