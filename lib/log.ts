// SPDX-License-Identifier: BSD-3-Clause
//
// The log of the process: thresholds, the sink, and a bridge to loggers of pino's kind. The log
// itself is native; records come to the thread that set the sink. JS thread only.

import { argumentError } from './errors.js';
import { logLevels, logThresholdNumber } from './internal/abi.generated.js';
import { constructorKey, requireConstructorKey } from './internal/access.js';
import { startEnvironment } from './internal/environment.js';
import { currentSink, replaceSink } from './internal/log-reader.js';
import { native } from './internal/native.js';
import { describe, requireObject, wrongType } from './internal/validate.js';

/** How severe a record is, the most severe first; 'disabled' is a threshold only. */
export type LogLevel = 'disabled' | 'fatal' | 'error' | 'warning' | 'notice' | 'info' | 'debug';

/** One line of the log. Frozen; keep it as long as you like. */
export interface LogRecord {
  /** How severe it is. */
  readonly level: Exclude<LogLevel, 'disabled'>;
  /** For people; it may change from version to version. At most 239 bytes of UTF-8. */
  readonly message: string;
  /** When it was written: milliseconds since the epoch, with microseconds behind the point. */
  readonly time: number;
  /** Where in the native code. */
  readonly file: string;
  /** Line in `file`. */
  readonly line: number;
  /** Function in `file`. */
  readonly function: string;
  /** The provider whose line it is, where it is one's. */
  readonly provider?: string;
  /** Records that were lost right before this one, because the ring was full; absent for 0. */
  readonly dropped?: number;
}

/** What `bridgeLog()` needs of a logger: pino's methods. */
export type BridgedLogger = Readonly<
  Record<'fatal' | 'error' | 'warn' | 'info' | 'debug', (fields: object, message: string) => void>
>;

function getThreshold(which: number): LogLevel {
  return logLevels[native.logThreshold(which)] ?? 'disabled';
}

function setThreshold(which: number, name: string, level: unknown): void {
  if (typeof level !== 'string') throw wrongType(name, 'a level (a string)', level);
  const index = (logLevels as readonly string[]).indexOf(level);
  if (index < 0) {
    throw argumentError(
      'ERR_RPMA_INVALID_ARG_VALUE',
      `${name} must be one of ${logLevels.join(', ')}, but is ${describe(level)}`,
    );
  }
  native.logSetThreshold(which, index);
}

let construct: () => Log;

/**
 * The type of `log`.
 *
 * @remarks Thread safety: any thread; the log is the process's.
 */
export class Log {
  static {
    construct = () => new Log(constructorKey);
  }

  private constructor(key: typeof constructorKey) {
    requireConstructorKey(key, 'Log', 'log, which is there already');
    Object.freeze(this);
  }

  /**
   * The least severe level given to the sink and to the channel `rpma:log`; 'warning' at first. Of
   * the process: set in one thread it holds in all.
   *
   * @throws ERR_RPMA_INVALID_ARG_TYPE set to something that is no string
   * @throws ERR_RPMA_INVALID_ARG_VALUE set to a word that is no level
   * @remarks Thread safety: any thread.
   * @see librpma: `rpma_log_get_threshold`, `rpma_log_set_threshold` of RPMA_LOG_THRESHOLD
   */
  get threshold(): LogLevel {
    return getThreshold(logThresholdNumber.sink);
  }

  /** Sets it, for the whole process. */
  set threshold(level: LogLevel) {
    setThreshold(logThresholdNumber.sink, 'log.threshold', level);
  }

  /**
   * The least severe level written to standard error while nobody has set a sink; at first what the
   * environment variable RPMA_LOG says, else 'disabled'. Of the process, and independent of
   * `threshold`.
   *
   * @throws ERR_RPMA_INVALID_ARG_TYPE set to something that is no string
   * @throws ERR_RPMA_INVALID_ARG_VALUE set to a word that is no level
   * @remarks Thread safety: any thread.
   * @see librpma: `rpma_log_get_threshold`, `rpma_log_set_threshold` of RPMA_LOG_THRESHOLD_AUX
   */
  get auxThreshold(): LogLevel {
    return getThreshold(logThresholdNumber.aux);
  }

  /** Sets it, for the whole process. */
  set auxThreshold(level: LogLevel) {
    setThreshold(logThresholdNumber.aux, 'log.auxThreshold', level);
  }

  /**
   * Replaces the sink. A process has one: records come, in order and a little later, to the thread
   * that set it last, until that thread sets null or ends. What a sink throws becomes an uncaught
   * exception; the records behind it are delivered all the same.
   *
   * @param sink - called with each record; null restores the default, which is standard error by
   *   `auxThreshold`
   * @throws ERR_RPMA_INVALID_ARG_TYPE sink is neither a function nor null
   * @throws ERR_RPMA_NO_MEMORY the library could not start on this thread
   * @throws ERR_RPMA_LIMIT no descriptor is left to start the library on this thread
   * @remarks Thread safety: any thread.
   * @see librpma: `rpma_log_set_function`
   */
  setSink(sink: ((record: LogRecord) => void) | null): void {
    if (sink !== null && typeof sink !== 'function') {
      throw wrongType('sink', 'a function or null', sink);
    }
    if (sink !== null) startEnvironment();
    replaceSink(sink);
  }
}

/**
 * The process's log: two thresholds and one sink, as librpma's. Records reach JavaScript in order,
 * later, on the thread that set the sink; without one they go to the channel `rpma:log` of the
 * first thread that used the library.
 */
export const log: Log = construct();

const methods = {
  fatal: 'fatal',
  error: 'error',
  warning: 'warn',
  notice: 'info',
  info: 'info',
  debug: 'debug',
} as const;

/**
 * Sends the log's records to a logger of pino's kind: it becomes the sink. 'warning' goes to
 * `warn()`, 'notice' to `info()`. The fields are `{ rpma: { time, file, line, function, … } }`, so
 * that none hides one of the logger's own. Which records come is `log.threshold`'s to say.
 *
 * @param logger - has the methods fatal, error, warn, info and debug
 * @returns a function that stops it, by restoring the default, unless another sink was set since
 * @throws ERR_RPMA_INVALID_ARG_TYPE logger is no object, or a method is missing
 * @throws ERR_RPMA_NO_MEMORY the library could not start on this thread
 * @throws ERR_RPMA_LIMIT no descriptor is left to start the library on this thread
 * @remarks Thread safety: any thread; the records come to the one that called.
 * @see librpma: `rpma_log_set_function`
 */
export function bridgeLog(logger: BridgedLogger): () => void {
  requireObject(logger, 'logger');
  for (const name of new Set(Object.values(methods))) {
    if (typeof logger[name] !== 'function') {
      throw wrongType(`logger.${name}`, 'a function', logger[name]);
    }
  }
  const sink = ({ level, message, ...rpma }: LogRecord): void => {
    logger[methods[level]]({ rpma }, message);
  };
  log.setSink(sink);
  return () => {
    if (currentSink() === sink) log.setSink(null);
  };
}
