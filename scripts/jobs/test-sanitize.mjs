// SPDX-License-Identifier: BSD-3-Clause
//
// npm run test:sanitize: the native tests under the address and undefined-behaviour sanitizers and
// under the thread sanitizer, then the addon's test flavour, instrumented, under the tests that
// drive it most. The thread sanitizer does not work inside Node, so the addon has no such flavour.
import { runNativeTests } from '../native-tests.mjs';
import { setUp } from '../setup/index.mjs';
import { withLock } from '../setup/lock.mjs';
import { buildSanitizedAddon, preloads } from '../testing/sanitized-addon.mjs';
import { runNodeTests, testFiles } from '../testing/node-tests.mjs';
import { printSummary } from '../testing/results.mjs';

export async function run([pattern = '']) {
  await setUp({ native: ['rpma_test'], js: true, optional: ['libpmem1'] });
  const asan = await runNativeTests({ flavour: 'asan', pattern });
  const tsan = await runNativeTests({ flavour: 'tsan', pattern });
  const environment = {
    RPMA_NATIVE: await withLock('sanitized build', buildSanitizedAddon),
    RPMA_SANITIZED: '1',
    LD_PRELOAD: await preloads(),
    // Node itself leaves memory to the kernel at exit, so leaks cannot be told from it.
    ASAN_OPTIONS: 'detect_leaks=0',
    UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  };
  const files = testFiles(['unit', 'conformance', 'lifetime'], pattern);
  const tests = await runNodeTests(files, { environment });
  for (const result of tests) result.file += ' (asan)';
  return printSummary([...asan, ...tsan, ...tests]);
}
