// SPDX-License-Identifier: BSD-3-Clause
//
// Renders lib/internal/abi.generated.ts: the same tables for TypeScript.
import { camelCase, enumValues, pascalCase, plural } from './names.mjs';

function quote(text) {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function renderObject(name, pairs) {
  return [
    `export const ${name} = {`,
    ...pairs.map(([key, value]) => `  ${key}: ${value},`),
    '} as const;',
    '',
  ];
}

function renderStatuses({ prefix, statuses }) {
  const lines = ['/** Every status, indexed by its number. */', 'export const statuses = ['];
  for (const status of statuses) {
    lines.push('  {');
    lines.push(`    code: ${quote(prefix + status.name)},`);
    lines.push(`    class: ${quote(status.class)},`);
    lines.push(`    scope: ${quote(status.scope)},`);
    lines.push(`    retryable: ${status.retryable},`);
    lines.push(`    message: ${quote(status.message)},`);
    lines.push('  },');
  }
  lines.push('] as const;', '');
  const union = (key) => [...new Set(statuses.map((status) => status[key]))].map(quote).join(' | ');
  lines.push('export type StatusCode =');
  statuses.forEach((status, index) => {
    const end = index === statuses.length - 1 ? ';' : '';
    lines.push(`  | ${quote(prefix + status.name)}${end}`);
  });
  lines.push('');
  lines.push(`export type StatusClass = ${union('class')};`);
  lines.push('/** The largest thing that is permanently affected. */');
  lines.push(
    "export type StatusScope = 'operation' | 'connection' | 'endpoint' | 'peer' | 'process';",
  );
  lines.push('', '/** The numbers of the statuses. */');
  lines.push(
    ...renderObject(
      'statusNumber',
      statuses.map((status) => [camelCase(status.name), status.number]),
    ),
  );
  return lines;
}

function renderEnums({ enums }) {
  const lines = [];
  for (const [name, values] of Object.entries(enums)) {
    const pairs = enumValues(values);
    if (values.$comment) lines.push(`/** ${values.$comment}. */`);
    if (Array.isArray(values)) {
      const list = plural(name);
      lines.push(`export const ${list} = [`, ...values.map((value) => `  ${quote(value)},`));
      lines.push('] as const;', '');
      lines.push(`export type ${pascalCase(name)} = (typeof ${list})[number];`, '');
    }
    lines.push(
      ...renderObject(
        `${name}Number`,
        pairs.map(([value, number]) => [camelCase(value), number]),
      ),
    );
  }
  return lines;
}

export function renderTypeScript(abi) {
  const lines = [
    '// SPDX-License-Identifier: BSD-3-Clause',
    '//',
    '// Codes, enums, flags, limits and record layouts shared with the native addon. Generated from',
    '// abi/*.json by scripts/generate-abi.mjs; do not edit.',
    '',
    '/** Both sides carry this hash of abi/*.json; an addon with another one is refused. */',
    `export const abiHash = ${quote(abi.hash)};`,
    '',
    ...renderStatuses(abi),
    ...renderEnums(abi),
  ];
  for (const [group, values] of Object.entries(abi.flags)) {
    lines.push(...renderObject(group, Object.entries(values)));
  }
  lines.push(...renderObject('limits', Object.entries(abi.limits)));
  for (const [name, record] of Object.entries(abi.records)) {
    lines.push(`/** ${record.comment} Offsets in bytes. */`);
    const pairs = record.fields.map((field) => [field.name, field.offset]);
    lines.push(...renderObject(`${name}Layout`, [['sizeBytes', record.sizeBytes], ...pairs]));
  }
  return `${lines.join('\n').trimEnd()}\n`;
}
