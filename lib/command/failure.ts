// SPDX-License-Identifier: BSD-3-Clause
//
// How a command fails: one line on standard error, `rpma: <what>: <cause>; <cure> [<code>]`, and
// status 1, or 2 where the call itself was wrong. A stack is shown with RPMA_DEBUG alone.

/** The command was called rightly and failed. */
export const statusFailed = 1;
/** The command was called wrongly: nothing was tried. */
export const statusUsage = 2;

/** What a failure says beside its cause. */
export interface CommandErrorOptions extends ErrorOptions {
  /** What helps. */
  readonly cure: string;
  /** One of the library's codes, where it came from there. */
  readonly code?: string | undefined;
  readonly status?: number | undefined;
}

/** A failure that says all there is to say. */
export class CommandError extends Error {
  readonly cure: string;
  readonly code: string | undefined;
  readonly status: number;

  constructor(cause: string, options: CommandErrorOptions) {
    super(cause, options.cause === undefined ? undefined : { cause: options.cause });
    this.cure = options.cure;
    this.code = options.code;
    this.status = options.status ?? statusFailed;
  }
}

/** A wrong call. */
export function usageError(cause: string, cure: string): CommandError {
  return new CommandError(cause, { cure, status: statusUsage });
}

/** The parts of a failure, as a line or an object shows them. */
export interface Failure {
  readonly cause: string;
  readonly cure: string;
  readonly code: string | undefined;
  readonly status: number;
  readonly stack: string;
}

/** What helps, by code, where the library's message leaves it to the program. */
const cures: Readonly<Record<string, string>> = {
  ERR_RPMA_MISSING_LIBRARY: "in a checkout 'npm run build' makes what is missing",
  ERR_RPMA_ABI_MISMATCH: "install the package anew, or run 'npm run build' in a checkout",
  ERR_RPMA_UNREACHABLE: 'check the address, and that the other side runs',
  ERR_RPMA_CONNECTION_LOST: 'see that the other side still runs, and try again',
  ERR_RPMA_TIMEOUT: 'give it longer with --timeout, or see what holds the other side up',
  ERR_RPMA_INTERNAL: 'report it, with what RPMA_DEBUG=1 prints',
  ERR_RPMA_LIMIT: 'raise the limit (ulimit -n, ulimit -u), or close what is not needed',
  ERR_RPMA_NO_MEMORY: 'ask for less, or free memory',
  ERR_RPMA_NOT_PERSISTENT:
    'choose a file on a disk or on persistent memory, or say --allow-volatile',
  ERR_RPMA_WC_REMOTE_ACCESS: 'see what the region allows (rpma decode), and that it is still lent',
  EADDRINUSE: 'choose another --port, or 0 for a free one',
  EADDRNOTAVAIL: "choose one of this machine's addresses ('rpma devices' lists them)",
  EACCES: 'choose something that this user may use, or change its permissions',
  EPERM: 'choose something that this user may use, or change its permissions',
  ENOENT: 'check the path, or say --create with --size',
  ENOSPC: 'free some room there',
  EISDIR: 'name a file',
};

/** The error that began it: an `await using` that fails on the way of an error wraps it. */
function firstOf(error: unknown): unknown {
  let cause = error;
  while (cause instanceof Error && 'suppressed' in cause) cause = cause.suppressed;
  return cause;
}

function property(error: Error, name: string): string | undefined {
  const value = (error as Error & Record<string, unknown>)[name];
  return typeof value === 'string' ? value : undefined;
}

/** The system's name of the error: of Node's errors their code, of the library's the last word. */
function systemName(error: Error, code: string | undefined): string {
  if (code !== undefined && /^E[A-Z]+$/.test(code)) return code;
  return /\b(E[A-Z]{3,})\)?$/.exec(error.message)?.[1] ?? '';
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}

/** What there is to say of an error, whatever it is. */
export function failureOf(thrown: unknown): Failure {
  const error = firstOf(thrown);
  if (!(error instanceof Error)) {
    const cure = cures['ERR_RPMA_INTERNAL'] ?? '';
    const text = String(error);
    return { cause: text, cure, code: undefined, status: statusFailed, stack: text };
  }
  const stack = stackOf(error);
  if (error instanceof CommandError) {
    const { message: cause, cure, code, status } = error;
    return { cause, cure, code, status, stack };
  }
  const code = property(error, 'code');
  const known = code ?? 'ERR_RPMA_INTERNAL';
  const cure = cures[systemName(error, code)] ?? cures[known] ?? '';
  return { cause: error.message, cure, code, status: statusFailed, stack };
}

/** One line, or with RPMA_DEBUG the stack as well. */
export function describe(what: string, failure: Failure): string {
  const { cause, cure, code, stack } = failure;
  const place = what === '' ? '' : ` ${what}:`;
  const help = cure === '' ? '' : `; ${cure}`;
  const tail = code === undefined ? '' : ` [${code}]`;
  const line = `rpma:${place} ${cause.replaceAll('\n', ' ')}${help}${tail}`;
  return (process.env['RPMA_DEBUG'] ?? '') === '' ? line : `${line}\n${stack}`;
}

/** What was tried, where the command said so. */
const subjects = new WeakMap<object, string>();

export function whatOf(error: unknown): string {
  return typeof error === 'object' && error !== null ? (subjects.get(error) ?? '') : '';
}

/** Runs a part of a command; a failure of it will name `what`. */
export async function attempting<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (typeof error === 'object' && error !== null && !subjects.has(error)) {
      subjects.set(error, what);
    }
    throw error;
  }
}
