// SPDX-License-Identifier: BSD-3-Clause
//
// npm test: the house rules, the Node-free native tests, then every test of the package. With an
// argument only the files whose path contains it. The last line is the sum.
import { runNativeTests } from '../native-tests.mjs';
import { setUp } from '../setup/index.mjs';
import { runNodeTests, testFiles } from '../testing/node-tests.mjs';
import { printSummary } from '../testing/results.mjs';

const kinds = [
  'unit',
  'types',
  'conformance',
  'lifetime',
  'fault',
  'interop',
  'command',
  'package',
  'docs',
  'soak',
];

export async function run([pattern = '']) {
  const tidyFiles = testFiles(['tidy'], pattern);
  const files = testFiles(kinds, pattern);
  // House rules and Node-free tests need no addon.
  const native = files.length > 0 ? ['rpma', 'rpma_test'] : [];
  await setUp({ native, js: true, optional: ['libpmem1', 'tshark', 'iproute2'] });
  const tidy = await runNodeTests(tidyFiles);
  const nativeTests = await runNativeTests({ pattern });
  const tests = await runNodeTests(files);
  return printSummary([...tidy, ...nativeTests, ...tests]);
}
