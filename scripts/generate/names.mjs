// SPDX-License-Identifier: BSD-3-Clause
//
// Turns the names of abi/*.json (camelCase, kebab-case, UPPER_CASE) into those of each language.

function words(name) {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .split(/[\s_-]+/)
    .map((word) => word.toLowerCase());
}

export function pascalCase(name) {
  return words(name)
    .map((word) => word[0].toUpperCase() + word.slice(1))
    .join('');
}

export function camelCase(name) {
  const text = pascalCase(name);
  return text[0].toLowerCase() + text.slice(1);
}

export function snakeCase(name) {
  return words(name).join('_');
}

export function plural(name) {
  if (name.endsWith('y')) return `${name.slice(0, -1)}ies`;
  return name.endsWith('s') ? `${name}es` : `${name}s`;
}

/** An enum's values as [name, number] pairs: a list counts from 0, an object names the numbers. */
export function enumValues(values) {
  if (Array.isArray(values)) return values.map((name, index) => [name, index]);
  return Object.entries(values).filter(([name]) => !name.startsWith('$'));
}
