// SPDX-License-Identifier: BSD-3-Clause
//
// Renders native/abi.generated.h: codes, enums, flags, limits and records for C++.
import { enumValues, pascalCase, snakeCase } from './names.mjs';

const types = {
  u8: 'std::uint8_t',
  u16: 'std::uint16_t',
  u32: 'std::uint32_t',
  i32: 'std::int32_t',
  f64: 'double',
  bytes8: 'std::uint8_t',
};

function renderCodes({ prefix, statuses }) {
  const lines = ['enum class Code : std::uint16_t {'];
  for (const status of statuses) lines.push(`  ${pascalCase(status.name)} = ${status.number},`);
  lines.push('};', '', `inline constexpr std::size_t kCodeCount = ${statuses.length};`, '');
  lines.push('inline constexpr const char* kCodeNames[kCodeCount] = {');
  for (const status of statuses) lines.push(`    "${prefix}${status.name}",`);
  lines.push('};', '', 'inline constexpr const char* kCodeMessages[kCodeCount] = {');
  for (const status of statuses) lines.push(`    ${JSON.stringify(status.message)},`);
  lines.push('};', '');
  lines.push('// A number outside the table is a defect of ours and reads as the internal error.');
  lines.push('constexpr std::size_t code_index(Code code) {');
  lines.push('  const auto number = static_cast<std::size_t>(code);');
  lines.push('  return number < kCodeCount ? number : static_cast<std::size_t>(Code::Internal);');
  lines.push('}', '');
  lines.push('constexpr const char* code_name(Code code) { return kCodeNames[code_index(code)]; }');
  lines.push('');
  lines.push('constexpr const char* code_message(Code code) {');
  lines.push('  return kCodeMessages[code_index(code)];', '}', '');
  return lines;
}

function renderEnums({ enums }) {
  const lines = [];
  for (const [name, values] of Object.entries(enums)) {
    if (values.$comment) lines.push(`// ${values.$comment}`);
    const pairs = enumValues(values);
    lines.push(`enum class ${pascalCase(name)} : std::uint8_t {`);
    for (const [value, number] of pairs) lines.push(`  ${pascalCase(value)} = ${number},`);
    lines.push('};');
    if (Array.isArray(values)) {
      lines.push(`inline constexpr std::size_t k${pascalCase(name)}Count = ${pairs.length};`);
    }
    lines.push('');
  }
  return lines;
}

function renderNumbers({ flags, limits }) {
  const lines = [];
  for (const [group, values] of Object.entries(flags)) {
    for (const [name, value] of Object.entries(values)) {
      const constant = `k${pascalCase(group)}${pascalCase(name)}`;
      lines.push(`inline constexpr std::uint32_t ${constant} = ${value};`);
    }
    lines.push('');
  }
  for (const [name, value] of Object.entries(limits)) {
    lines.push(`inline constexpr std::uint64_t k${pascalCase(name)} = ${value}u;`);
  }
  lines.push('');
  return lines;
}

function renderRecord(name, record) {
  const type = pascalCase(name);
  const lines = [`// ${record.comment}`, `struct ${type} {`];
  for (const field of record.fields) {
    const suffix = field.type === 'bytes8' ? '[8]' : '';
    const comment = field.comment ? `  // ${field.comment}` : '';
    lines.push(`  ${types[field.type]} ${snakeCase(field.name)}${suffix};${comment}`);
  }
  lines.push('};');
  lines.push(`static_assert(sizeof(${type}) == ${record.sizeBytes});`);
  lines.push(`static_assert(std::is_trivially_copyable_v<${type}>);`);
  for (const field of record.fields) {
    lines.push(`static_assert(offsetof(${type}, ${snakeCase(field.name)}) == ${field.offset});`);
  }
  lines.push('');
  return lines;
}

export function renderHeader(abi) {
  const lines = [
    '// SPDX-License-Identifier: BSD-3-Clause',
    '//',
    '// Codes, enums, flags, limits and record layouts shared with TypeScript. Constants and plain',
    '// data only: any thread may use them. Generated from abi/*.json by scripts/generate-abi.mjs;',
    '// do not edit.',
    '#pragma once',
    '',
    '#include <cstddef>',
    '#include <cstdint>',
    '#include <type_traits>',
    '',
    'namespace rpma::abi {',
    '',
    '// Both sides carry this hash of abi/*.json; a binary with another one is refused.',
    `inline constexpr const char* kAbiHash = "${abi.hash}";`,
    '',
    ...renderCodes(abi),
    ...renderEnums(abi),
    ...renderNumbers(abi),
  ];
  for (const [name, record] of Object.entries(abi.records))
    lines.push(...renderRecord(name, record));
  lines.push('}  // namespace rpma::abi', '');
  return lines.join('\n');
}
