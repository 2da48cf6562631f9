// SPDX-License-Identifier: BSD-3-Clause
//
// npm run test:nodes: the tests that depend on Node most, under newer versions of it, with the
// binaries and the compiled tests that this version built: Node-API is stable, and this proves it.
import { setUp } from '../setup/index.mjs';
import { withLock } from '../setup/lock.mjs';
import { runNodeTests, testFiles } from '../testing/node-tests.mjs';
import { otherNode } from '../testing/other-nodes.mjs';
import { printSummary } from '../testing/results.mjs';

const majors = [22, 24];
const kinds = ['unit', 'conformance', 'lifetime', 'command'];

export async function run([pattern = '']) {
  await setUp({ native: ['rpma', 'rpma_test'], js: true, optional: ['libpmem1'] });
  const nodes = [];
  for (const major of majors) {
    nodes.push(await withLock(`Node ${major}`, () => otherNode(major)));
  }
  const results = [];
  for (const { execPath, version } of nodes) {
    console.log(`Node ${version}, with the addon that ${process.version} built`);
    const tests = await runNodeTests(testFiles(kinds, pattern), { execPath });
    for (const result of tests) result.file += ` (${version})`;
    results.push(...tests);
  }
  return printSummary(results);
}
