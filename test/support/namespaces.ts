// SPDX-License-Identifier: BSD-3-Clause
//
// Network namespaces for tests: a program is started inside one, where it may add addresses and
// cables and take them away without touching the machine's own network.

import { execFileSync, spawnSync } from 'node:child_process';

/** Put in front of a command, gives it a network namespace of its own. */
export const inNamespace: readonly string[] =
  process.getuid?.() === 0 ? ['unshare', '-n'] : ['unshare', '-Urn'];

/** Why this machine cannot make network namespaces, or false. */
export function namespaceRefusal(): string | false {
  for (const tool of ['ip', 'nsenter', 'unshare']) {
    if (spawnSync(tool, ['-V']).error !== undefined) return `no ${tool} (iproute2, util-linux)`;
  }
  const [command = 'unshare', ...args] = inNamespace;
  const tried = spawnSync(command, [...args, 'ip', 'link', 'set', 'lo', 'up']);
  if (tried.status !== 0) return `no network namespaces: ${tried.stderr.toString().trim()}`;
  return false;
}

/** Runs one ip command, in the namespace of the given process where one is given. */
export function ip(words: string, namespaceOf?: number): void {
  const command = ['ip', ...words.split(' ')];
  if (namespaceOf !== undefined) command.unshift('nsenter', '-t', String(namespaceOf), '-n');
  const [program = 'ip', ...args] = command;
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** A message of a program: what the machine does not allow. */
export interface Refused {
  readonly kind: 'refused';
  readonly reason: string;
}

/** The machine's refusal of a set-up step, apart from every failure of what is tested. */
export class SetupRefusal extends Error {}

/** Runs the steps that need the machine's permission; what fails in them is a refusal. */
export async function setUpNetwork<T>(steps: () => T | Promise<T>): Promise<T> {
  try {
    return await steps();
  } catch (error) {
    throw new SetupRefusal(error instanceof Error ? error.message.trim() : String(error));
  }
}
