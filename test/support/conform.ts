// SPDX-License-Identifier: BSD-3-Clause
//
// The frame of the conformance suite: every test runs once for each provider of
// RPMA_TEST_PROVIDERS (a list with commas, 'iwarp' when unset), with a world of its own. Tests
// use the public surface only.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ProviderName } from 'rpma';
import { World } from './world.js';

export type Body = (world: World) => void | Promise<void>;

export interface CaseOptions {
  readonly timeoutMs?: number;
  /** Why this provider cannot run the test, if so. */
  readonly skip?: string | false;
}

export interface Suite {
  readonly provider: ProviderName;
  readonly it: (name: string, body: Body, options?: CaseOptions) => void;
}

const known: readonly ProviderName[] = ['verbs', 'iwarp', 'shm'];

export function testedProviders(): ProviderName[] {
  const words = (process.env['RPMA_TEST_PROVIDERS'] ?? '').split(',').filter((word) => word !== '');
  if (words.length === 0) return ['iwarp'];
  return words.map((word) => {
    const provider = known.find((name) => name === word);
    if (provider === undefined) throw new Error(`RPMA_TEST_PROVIDERS names '${word}'`);
    return provider;
  });
}

/** A leak that the library reports is a failure of the test file that caused it. */
process.on('warning', (warning) => {
  if ('code' in warning && warning.code === 'RPMA_LEAK') throw warning;
});

export function conform(subject: string, define: (suite: Suite) => void): void {
  for (const provider of testedProviders()) {
    describe(`${subject} over ${provider}`, () => {
      define({
        provider,
        it: (name, body, options = {}) => {
          const settings = { timeout: options.timeoutMs ?? 30_000, skip: options.skip ?? false };
          test(name, settings, async (context) => {
            const world = new World(provider, context);
            const failures: unknown[] = [];
            await Promise.resolve(body(world)).catch((error: unknown) => failures.push(error));
            await world.end().catch((error: unknown) => failures.push(error));
            // The first is the cause; a failing end is often its consequence.
            if (failures.length > 0) throw failures[0];
          });
        },
      });
    });
  }
}

/** For assert.throws and assert.rejects: an error of the library with this code. */
export function withCode(
  code: string,
  properties: Readonly<Record<string, unknown>> = {},
): (error: unknown) => true {
  return (error: unknown) => {
    assert.ok(error instanceof Error, `not an error: ${String(error)}`);
    const actual = error as Error & Readonly<Record<string, unknown>>;
    assert.equal(actual['code'], `ERR_RPMA_${code}`, error.stack);
    for (const [name, value] of Object.entries(properties)) {
      assert.deepEqual(actual[name], value, `${name} of ${error.stack ?? error.message}`);
    }
    return true;
  };
}

/** An argument error: its class besides its code. */
export function argumentError(
  type: 'TypeError' | 'RangeError',
  ...codes: string[]
): (error: unknown) => true {
  return (error: unknown) => {
    assert.ok(error instanceof (type === 'TypeError' ? TypeError : RangeError), String(error));
    const code = (error as Error & { readonly code?: unknown }).code;
    const wanted = codes.map((each) => `ERR_RPMA_${each}`);
    assert.ok(wanted.includes(String(code)), `${String(code)} is none of ${wanted.join(', ')}`);
    return true;
  };
}
