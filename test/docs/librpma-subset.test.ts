// SPDX-License-Identifier: BSD-3-Clause
//
// librpma's conformance subset is whole: every one of its tests that can be seen from outside has a
// test here or a reason, and what is named exists.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { proofs } from '../conformance/librpma-proofs.js';
import { subset } from '../conformance/librpma-subset.js';
import { unitTests } from '../conformance/librpma-unit-tests.js';
import { hasTest } from '../support/test-titles.js';

/** Executables that belong to it as a whole. */
const whole = new RegExp(
  [
    '^(peer_cfg|conn_cfg|srq_cfg|error)/',
    '^mr/mr-descriptor$',
    '^utils/utils-conn_event_2str$',
    '^cq/cq-get_wc$',
    '^conn/conn-(flush|next_event)$',
    '^peer/peer-mr_reg$',
  ].join('|'),
);
/** Cases of any executable that pass a wrong argument. */
const wrongArgument = new RegExp(
  [
    'NULL|null_|invalid|flags_0|unaligned|negative|0_size|0_usage|wrong_usage|unknown',
    'non_positive|incorrect_desc|data_len_0',
  ].join('|'),
);

function namesOf(executable: string): string[] {
  return (unitTests[executable] ?? '').trim().split(/\s+/);
}

describe("librpma's conformance subset", () => {
  test('the list of its unit tests is whole', () => {
    const executables = Object.keys(unitTests);
    assert.equal(executables.length, 90);
    assert.equal(executables.flatMap(namesOf).length, 695);
  });

  test('each of its groups has the size that it has in librpma', () => {
    const sizes: Readonly<Record<string, number>> = {
      'mr/mr-descriptor': 21,
      'peer_cfg/peer_cfg-descriptor': 14,
      'error/error': 11,
      'utils/utils-conn_event_2str': 7,
      'cq/cq-get_wc': 9,
      'conn/conn-flush': 11,
      'conn/conn-next_event': 18,
      'peer/peer-mr_reg': 17,
    };
    for (const [executable, size] of Object.entries(sizes)) {
      assert.equal(Object.keys(subset[executable] ?? {}).length, size, executable);
    }
    const settings = Object.keys(subset).filter((each) => /^(conn|srq)_cfg\//.test(each));
    assert.equal(settings.length, 11 + 5);
  });

  test('no name of it is missing, and none is there that librpma has not', () => {
    const missing: string[] = [];
    for (const executable of Object.keys(unitTests)) {
      for (const name of namesOf(executable)) {
        const belongs = whole.test(executable) || wrongArgument.test(name);
        if (belongs && subset[executable]?.[name] === undefined) {
          missing.push(`${executable} ${name}`);
        }
      }
    }
    assert.deepEqual(missing, [], 'missing');
    const unknown = Object.entries(subset).flatMap(([executable, cases]) =>
      Object.keys(cases).filter((name) => !namesOf(executable).includes(name)),
    );
    assert.deepEqual(unknown, [], 'unknown to librpma');
  });

  test('every test that is named exists, and every reason says something', () => {
    const wrong = Object.values(subset)
      .flatMap((cases) => Object.values(cases))
      .flatMap((proof) => {
        if ('reason' in proof) return proof.reason.length > 20 ? [] : [proof.reason];
        return hasTest(`test/${proof.file}`, proof.title) ? [] : [`${proof.file}: ${proof.title}`];
      });
    assert.deepEqual([...new Set(wrong)], []);
  });

  test('every proof is used', () => {
    const used = new Set(Object.values(subset).flatMap((cases) => Object.values(cases)));
    const unused = proofs.filter((proof) => !used.has(proof));
    assert.deepEqual(unused, []);
  });

  test('most of it is shown by tests, not explained', () => {
    const all = Object.values(subset).flatMap((cases) => Object.values(cases));
    const tested = all.filter((proof) => 'title' in proof).length;
    assert.ok(tested > all.length / 2, `${tested} of ${all.length}`);
  });
});
