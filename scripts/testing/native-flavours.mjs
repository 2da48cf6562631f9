// SPDX-License-Identifier: BSD-3-Clause
//
// The flavours in which Node-free native code is compiled for tests, and the flags of each.
const common = [
  '-std=c++20',
  '-g',
  '-O1',
  '-fno-exceptions',
  '-fno-omit-frame-pointer',
  '-fPIC',
  '-pthread',
  '-Wall',
  '-Wextra',
  '-DRPMA_TEST_FLAVOUR=1',
  '-Inative',
];

export const flavours = {
  plain: { compile: [...common, '-Werror'], link: [], environment: {} },
  asan: {
    compile: [...common, '-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
    link: ['-fsanitize=address,undefined'],
    environment: {
      ASAN_OPTIONS: 'detect_leaks=1:abort_on_error=0',
      UBSAN_OPTIONS: 'print_stacktrace=1',
    },
  },
  // The thread sanitizer does not see stand-alone fences; -Wtsan names each one, for people to
  // read.
  tsan: {
    compile: [...common, '-fsanitize=thread', '-Wno-error=tsan'],
    link: ['-fsanitize=thread'],
    environment: { TSAN_OPTIONS: 'halt_on_error=0:exitcode=66:second_deadlock_stack=1' },
  },
};

/** Of the fuzz job, by clang only. Warnings are errors: it shows that clang takes everything. */
export const fuzzFlavour = {
  compile: [
    ...common,
    '-Werror',
    '-fsanitize=fuzzer-no-link,address,undefined',
    '-fno-sanitize-recover=all',
  ],
  link: ['-fsanitize=fuzzer,address,undefined'],
  environment: { UBSAN_OPTIONS: 'print_stacktrace=1' },
};
