// SPDX-License-Identifier: BSD-3-Clause
//
// Printing of test results. A result is one file's: { file, passed, failed, skipped: [{name,
// reason}], failures: [{name, message}], output, milliseconds }.

function indent(text, by) {
  return text.replace(/^(?=.)/gm, ' '.repeat(by));
}

/** One line for a file that passed; for one that failed its failures and all it printed, too. */
export function printFile(result) {
  const { file, passed, failed, skipped, failures, output, milliseconds = 0 } = result;
  const skips = skipped.length > 0 ? `, ${skipped.length} skipped` : '';
  const seconds = (milliseconds / 1000).toFixed(1);
  const verdict = failed === 0 ? 'ok    ' : 'FAILED';
  console.log(`${verdict} ${file}: ${passed} passed, ${failed} failed${skips} (${seconds} s)`);
  if (failed === 0) return;
  for (const failure of failures) {
    console.log(`  failed: ${failure.name}`);
    if (failure.message) console.log(indent(failure.message, 4));
  }
  if (output.trim() !== '') console.log(`  output:\n${indent(output.trimEnd(), 4)}`);
}

export function sum(results) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const { passed, failed, skipped } of results) {
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped.length;
  }
  return total;
}

/** Lists what was skipped, prints the last line and returns the exit status. */
export function printSummary(results) {
  for (const { file, skipped } of results) {
    for (const { name, reason } of skipped) {
      console.log(`skipped ${file}: ${name}${reason ? ` (${reason})` : ''}`);
    }
  }
  for (const { file, failed } of results) if (failed > 0) console.log(`failed ${file}: ${failed}`);
  const { passed, failed, skipped } = sum(results);
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  return failed > 0 || passed === 0 ? 1 : 0;
}
