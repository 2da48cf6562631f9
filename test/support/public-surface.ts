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
  if (ts.isSetAccessorDeclaration(member)) return true; // its getter speaks for both
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

function visibleMembers(node: ts.ClassDeclaration): ts.ClassElement[] {
  return node.members.filter((member) => !isHidden(member));
}

/** A name and the names of its members, as a program writes them: 'Peer', 'Peer.open'. */
function withMembers(name: string, members: readonly ts.Node[], source: ts.SourceFile): string[] {
  const names = members.flatMap((member) => {
    const own = (member as { readonly name?: ts.PropertyName }).name;
    return own === undefined || ts.isPrivateIdentifier(own) ? [] : [own.getText(source)];
  });
  return [name, ...names.map((member) => `${name}.${member}`)];
}

/** The members of a value's type: written out, or of an interface or class of the same file. */
function membersOf(type: ts.TypeNode | undefined, source: ts.SourceFile): readonly ts.Node[] {
  if (type === undefined) return [];
  if (ts.isTypeLiteralNode(type)) return type.members;
  for (const node of source.statements) {
    const isIt = ts.isInterfaceDeclaration(node) || ts.isClassDeclaration(node);
    if (!isIt || node.name?.text !== type.getText(source)) continue;
    return ts.isClassDeclaration(node) ? visibleMembers(node) : [...node.members];
  }
  return [];
}

/** What a statement declares for everybody: classes, interfaces, functions, types and tables. */
function declaredNames(node: ts.Statement, source: ts.SourceFile): string[] {
  if (ts.isVariableStatement(node)) {
    return node.declarationList.declarations.flatMap((each) => {
      if (!isExported(each)) return [];
      const name = each.name.getText(source);
      return withMembers(name, membersOf(each.type, source), source);
    });
  }
  if (ts.isClassDeclaration(node) && isExported(node)) {
    return withMembers(node.name?.text ?? '', visibleMembers(node), source);
  }
  if (ts.isInterfaceDeclaration(node) && isExported(node)) {
    return withMembers(node.name.text, [...node.members], source);
  }
  const isNamed = ts.isFunctionDeclaration(node) || ts.isTypeAliasDeclaration(node);
  return isNamed && isExported(node) ? [node.name?.text ?? ''] : [];
}

/**
 * Every public name with its members. What a connection inherits is, to the program, the
 * connection's.
 */
export const publicNames: ReadonlySet<string> = new Set(
  publicFiles.flatMap((file) => {
    const text = readFileSync(path.join(root, 'lib', file), 'utf8');
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
    return source.statements
      .flatMap((node) => declaredNames(node, source))
      .map((name) => name.replace(/^Connection(Verbs|Promises)\./, 'Connection.'));
  }),
);
