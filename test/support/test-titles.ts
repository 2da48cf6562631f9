// SPDX-License-Identifier: BSD-3-Clause
//
// The titles of the tests in a source file, as its calls of it() and test() say them. Where a title
// is made of parts, the parts that vary stand for anything.

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { packageRoot } from './folders.js';

/** A title needs this much that does not vary, or it would match whatever is asked for. */
const fixedMin = 8;

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

function patternOf(title: ts.Expression): RegExp | null {
  if (ts.isStringLiteralLike(title)) return new RegExp(`^${escaped(title.text)}$`);
  if (!ts.isTemplateExpression(title)) return null;
  const parts = [title.head.text, ...title.templateSpans.map(({ literal }) => literal.text)];
  if (parts.join('').length < fixedMin) return null;
  return new RegExp(`^${parts.map(escaped).join('.+')}$`);
}

const known = new Map<string, readonly RegExp[]>();

function titlesOf(file: string): readonly RegExp[] {
  const found: RegExp[] = [];
  const text = readFileSync(path.join(packageRoot(), file), 'utf8');
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && ts.isIdentifier(node.expression)) {
      const [title] = node.arguments;
      const isTest = node.expression.text === 'it' || node.expression.text === 'test';
      const pattern = isTest && title !== undefined ? patternOf(title) : null;
      if (pattern !== null) found.push(pattern);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true));
  return found;
}

/** Whether the file, relative to the package, has a test of this title. */
export function hasTest(file: string, title: string): boolean {
  const cached = known.get(file);
  if (cached !== undefined) return cached.some((pattern) => pattern.test(title));
  if (!existsSync(path.join(packageRoot(), file))) return false;
  known.set(file, titlesOf(file));
  return hasTest(file, title);
}
