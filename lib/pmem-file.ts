// SPDX-License-Identifier: BSD-3-Clause
//
// A mapped file, the memory that can be persistent. Belongs to no peer; JS thread only.

import { constants } from 'node:buffer';
import { existsSync } from 'node:fs';
import { constants as system } from 'node:os';
import { dirname } from 'node:path';
import { argumentError } from './errors.js';
import { pmemDurabilities } from './internal/abi.generated.js';
import { access, constructorKey, requireConstructorKey } from './internal/access.js';
import { check, startEnvironment } from './internal/environment.js';
import { failureOf } from './internal/failure.js';
import { FileCore } from './internal/file-core.js';
import { isNativeError, native, type NativeError } from './internal/native.js';
import { watchForLeak } from './internal/resource.js';
import {
  optionalBoolean,
  optionalInteger,
  requireInteger,
  requireObject,
  requireString,
} from './internal/validate.js';

/** How a file is mapped. */
export interface PmemMapOptions {
  /** Bytes to map; default the whole file from `offset` on. Needed with `create`. */
  readonly sizeBytes?: number | undefined;
  /** First byte of the file, a multiple of 4096; default 0. */
  readonly offset?: number | undefined;
  /** Create the file if it is not there, and allocate its blocks; default false. */
  readonly create?: boolean | undefined;
  /** Permissions of a created file; default 0o600. */
  readonly mode?: number | undefined;
  /** Default false. */
  readonly readOnly?: boolean | undefined;
  /** Default false: a file that cannot last (tmpfs) is refused with ERR_RPMA_NOT_PERSISTENT. */
  readonly allowVolatile?: boolean | undefined;
}

/** A file stays while a window of it is reachable. */
const windows = new WeakMap<ArrayBuffer, PmemFile>();

const modeDefault = 0o600;
const modeMax = 0o7777;

/**
 * A mapped file: libpmem's mapping where there is persistent memory, mmap and msync otherwise.
 * Registered with a peer it is what a persistent flush can be granted on.
 *
 * @remarks Thread safety: per object, on the thread that made it.
 * @see librpma: the mapping that its examples make with `pmem_map_file` and give to `rpma_mr_reg`
 */
export class PmemFile implements AsyncDisposable {
  readonly #core: FileCore;
  readonly #path: string;
  readonly #isPmem: boolean;
  readonly #durability: 'pmem' | 'storage' | 'memory';
  #bytes: Uint8Array | undefined;

  static {
    access.file = (value) =>
      typeof value === 'object' && value !== null && #core in value ? value.#core : undefined;
  }

  private constructor(key: typeof constructorKey, core: FileCore, path: string) {
    requireConstructorKey(key, 'PmemFile', 'PmemFile.map()');
    this.#core = core;
    this.#path = path;
    const info = native.fileInfo(core.handle);
    this.#isPmem = info.isPmem;
    this.#durability = pmemDurabilities[info.durability] ?? 'memory';
    const { handle } = core;
    const release = (): void => {
      void native.fileUnmap(handle);
    };
    watchForLeak(this, core, { what: 'a PmemFile', release, report: true });
  }

  /**
   * Maps a file. Blocks are allocated: no sparse files. With `create` the file and its directory
   * are synced before it resolves.
   *
   * @param path - the file's path
   * @param options - which part, and whether to create it
   * @returns the mapping
   * @throws ERR_RPMA_INVALID_ARG_TYPE an argument has the wrong type
   * @throws ERR_RPMA_INVALID_ARG_VALUE path is empty, or create without sizeBytes
   * @throws ERR_RPMA_OUT_OF_RANGE a number is out of bounds
   * @throws ERR_RPMA_NOT_PERSISTENT the file system cannot last (tmpfs, …), without allowVolatile
   * @throws ERR_RPMA_PROVIDER the system refused (errno and syscall say how)
   * @throws ERR_RPMA_NO_MEMORY the mapping does not fit
   * @throws ERR_RPMA_LIMIT no handle or thread is left for it
   * @remarks Thread safety: any thread.
   * @see librpma: `pmem_map_file` in its examples
   */
  static async map(path: string, options: PmemMapOptions = {}): Promise<PmemFile> {
    requireString(path, 'path');
    requireObject(options, 'options');
    const largest = Number.MAX_SAFE_INTEGER;
    const create = optionalBoolean(options.create, 'create', false);
    if (create && options.sizeBytes === undefined) {
      throw argumentError('ERR_RPMA_INVALID_ARG_VALUE', 'sizeBytes is needed with create');
    }
    const sizeBytes = optionalInteger(options.sizeBytes, 'sizeBytes', 1, largest, 0);
    const readOnly = optionalBoolean(options.readOnly, 'readOnly', false);
    const nativeOptions = {
      sizeBytes,
      offset: optionalInteger(options.offset, 'offset', 0, largest, 0),
      create,
      mode: optionalInteger(options.mode, 'mode', 0, modeMax, modeDefault),
      readOnly,
      allowVolatile: optionalBoolean(options.allowVolatile, 'allowVolatile', false),
      oracle: false,
    };
    startEnvironment();
    const handle = await native.fileMap(path, nativeOptions);
    if (isNativeError(handle)) throw mapFailure(handle, path, create);
    const core = new FileCore(handle, native.fileInfo(handle).sizeBytes, readOnly);
    return new PmemFile(constructorKey, core, path);
  }

  /** As given to map(). */
  get path(): string {
    return this.#path;
  }

  /** Bytes that are mapped. */
  get sizeBytes(): number {
    return this.#core.sizeBytes;
  }

  /** Whether processor instructions alone make stores durable. */
  get isPmem(): boolean {
    return this.#isPmem;
  }

  /**
   * What a persist survives: power loss ('pmem', 'storage') or only the process's end ('memory':
   * tmpfs, where allowed).
   */
  get durability(): 'pmem' | 'storage' | 'memory' {
    return this.#durability;
  }

  /**
   * The memory itself, the same object each time. Of length 0 once unmapped.
   *
   * @throws ERR_RPMA_OUT_OF_RANGE larger than one ArrayBuffer (4 GiB on Node 20): use view()
   * @throws ERR_RPMA_NO_MEMORY the engine made no ArrayBuffer for it
   * @throws ERR_RPMA_NOT_SUPPORTED the file was mapped readOnly
   * @remarks Thread safety: per object, on the thread that made it. A file that others truncate
   * makes touching what is missing fatal to the process.
   * @see librpma: the pointer that `pmem_map_file` gives in its examples
   */
  get bytes(): Uint8Array {
    const core = this.#core;
    if (core.state !== 'open') return this.#bytes ?? new Uint8Array(0);
    if (core.sizeBytes > constants.MAX_LENGTH) {
      throw argumentError(
        'ERR_RPMA_OUT_OF_RANGE',
        `file.bytes: ${core.sizeBytes} bytes do not fit one ArrayBuffer here: use view(offset, length)`,
      );
    }
    this.#bytes ??= this.view(0, core.sizeBytes);
    return this.#bytes;
  }

  /**
   * A window of the mapping, without a copy. Of length 0 once unmapped.
   *
   * @param offset - first byte
   * @param length - bytes
   * @returns the window
   * @throws ERR_RPMA_INVALID_ARG_TYPE offset or length is no number
   * @throws ERR_RPMA_OUT_OF_RANGE beyond the mapping, or longer than one ArrayBuffer
   * @throws ERR_RPMA_NO_MEMORY the engine made no ArrayBuffer for it
   * @throws ERR_RPMA_NOT_SUPPORTED the file was mapped readOnly
   * @throws ERR_RPMA_CLOSED the file is unmapped
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: the pointer that `pmem_map_file` gives in its examples
   */
  view(offset: number, length: number): Uint8Array {
    const core = this.#core;
    core.requireOpen('file.view()');
    requireInteger(offset, 'offset', 0, core.sizeBytes);
    requireInteger(length, 'length', 0, Math.min(core.sizeBytes - offset, constants.MAX_LENGTH));
    const window = native.fileView(core.handle, offset, length);
    if (typeof window === 'number') {
      check(window, 'file.view()');
      return new Uint8Array(0);
    }
    windows.set(window, this);
    return new Uint8Array(window);
  }

  /**
   * Makes stores to a range durable, without blocking the thread.
   *
   * Guarantee once resolved: durable, as far as `durability` says.
   *
   * @param offset - first byte; default 0
   * @param length - bytes; default all that follow
   * @returns a promise
   * @throws ERR_RPMA_INVALID_ARG_TYPE offset or length is no number
   * @throws ERR_RPMA_OUT_OF_RANGE offset plus length is beyond the mapping
   * @throws ERR_RPMA_CLOSED the file is unmapped
   * @throws ERR_RPMA_PROVIDER writing back failed (errno), as will every later persist
   * @throws ERR_RPMA_LIMIT no thread is left for it
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `pmem_persist` and `pmem_msync` in its examples
   */
  async persist(offset: number = 0, length?: number): Promise<void> {
    const bytes = this.#checkRange('file.persist()', offset, length);
    const result = await native.filePersist(this.#core.handle, offset, bytes);
    if (isNativeError(result)) throw failureOf(result, 'file.persist()');
  }

  /**
   * persist(), blocking this thread: for memory that `isPmem` this is the quicker one.
   *
   * Guarantee on return: durable, as far as `durability` says.
   *
   * @param offset - first byte; default 0
   * @param length - bytes; default all that follow
   * @throws ERR_RPMA_INVALID_ARG_TYPE offset or length is no number
   * @throws ERR_RPMA_OUT_OF_RANGE offset plus length is beyond the mapping
   * @throws ERR_RPMA_CLOSED the file is unmapped
   * @throws ERR_RPMA_PROVIDER writing back failed (errno), as will every later persist
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `pmem_persist` and `pmem_msync` in its examples
   */
  persistSync(offset: number = 0, length?: number): void {
    const bytes = this.#checkRange('file.persistSync()', offset, length);
    check(native.filePersistSync(this.#core.handle, offset, bytes), 'file.persistSync()');
  }

  /**
   * Detaches every view, then unmaps.
   *
   * @returns a promise, the same each time unless it was refused; then every view has length 0
   * @throws ERR_RPMA_BUSY a region still uses it: the file stays as it was
   * @remarks Thread safety: per object, on the thread that made it.
   * @see librpma: `pmem_unmap` in its examples
   */
  unmap(): Promise<void> {
    return this.#core.unmap();
  }

  /**
   * unmap().
   *
   * @returns the promise of unmap()
   * @remarks Thread safety: per object, on the thread that made it.
   */
  [Symbol.asyncDispose](): Promise<void> {
    return this.unmap();
  }

  #checkRange(what: string, offset: number, length: number | undefined): number {
    const core = this.#core;
    core.requireOpen(what);
    requireInteger(offset, 'offset', 0, core.sizeBytes);
    return optionalInteger(length, 'length', 0, core.sizeBytes - offset, core.sizeBytes - offset);
  }
}

/** The error of a failed map(): of what is not there it says what makes it. */
function mapFailure(error: NativeError, path: string, create: boolean): Error {
  const what = `mapping '${path}'`;
  if (error.errno !== system.errno.ENOENT || error.detail !== '') return failureOf(error, what);
  const folder = dirname(path);
  if (!existsSync(folder)) {
    return failureOf(
      { ...error, detail: `the folder '${folder}' is not there: make it first` },
      what,
    );
  }
  if (create) return failureOf(error, what);
  const detail = 'there is no such file: give create: true and sizeBytes to make it';
  return failureOf({ ...error, detail }, what);
}
