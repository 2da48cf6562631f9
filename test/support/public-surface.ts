// SPDX-License-Identifier: BSD-3-Clause
//
// The public surface as its sources show it: exported classes with their members, and exported
// functions, each with its documentation comment.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { packageRoot } from './folders.js';

const root = packageRoot();

export interface Doc {
  readonly name: string;
  readonly summary: string;
  readonly tags: readonly { readonly name: string; readonly text: string }[];
  readonly isCallable: boolean;
}

/** The comment in front of a node, cut into its summary and its tags. */
function docOf(name: string, node: ts.Node, source: ts.SourceFile, isCallable: boolean): Doc {
  const full = node.getFullText(source);
  const block = /\/\*\*((?:(?!\*\/)[^])*)\*\/\s*$/.exec(
    full.slice(0, node.getLeadingTriviaWidth()),
  );
  const text = (block?.[1] ?? '').replace(/^\s*\* ?/gm, '');
  const [summary = '', ...tags] = text.split(/^@(?=\w)/m);
  return {
    name,
    summary: summary.trim(),
    isCallable,
    tags: tags.map((tag) => {
      const [word = '', ...rest] = tag.trim().split(' ');
      return { name: word, text: rest.join(' ') };
    }),
  };
}

function isHidden(member: ts.ClassElement): boolean {
  if (ts.isClassStaticBlockDeclaration(member) || ts.isSemicolonClassElement(member)) return true;
  if (member.name !== undefined && ts.isPrivateIdentifier(member.name)) return true;
  return (
    (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.NonPublicAccessibilityModifier) !== 0
  );
}

function isExported(node: ts.Declaration): boolean {
  return (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Export) !== 0;
}

/** What the program sees of a file: classes with their members, and functions. */
function docsOf(file: string): Doc[] {
  const text = readFileSync(path.join(root, 'lib', file), 'utf8');
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  return source.statements.flatMap((node) => {
    if (ts.isFunctionDeclaration(node) && isExported(node)) {
      return [docOf(`${file}: ${node.name?.text ?? ''}()`, node, source, true)];
    }
    if (!ts.isClassDeclaration(node) || !isExported(node)) return [];
    const className = `${file}: ${node.name?.text ?? ''}`;
    const members = node.members
      .filter((member) => !isHidden(member))
      .map((member) => {
        const isCallable = ts.isMethodDeclaration(member) || ts.isConstructorDeclaration(member);
        const name = member.name?.getText(source) ?? 'constructor';
        return docOf(`${className}.${name}`, member, source, isCallable);
      });
    return [docOf(className, node, source, true), ...members];
  });
}

/** Files of lib/ that hold public names. */
export const publicFiles: readonly string[] = readdirSync(path.join(root, 'lib')).filter((file) =>
  file.endsWith('.ts'),
);

/** Everything public; what only the library itself calls says so, and is left out. */
export const publicDocs: readonly Doc[] = publicFiles
  .flatMap(docsOf)
  .filter(({ summary }) => !summary.endsWith('Library use.'));
