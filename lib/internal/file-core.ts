// SPDX-License-Identifier: BSD-3-Clause
//
// What is behind a PmemFile: its handle, and how many regions use it. JS thread only.

import { RpmaError } from '../errors.js';
import { failureOf } from './failure.js';
import { isNativeError, native, type Handle } from './native.js';
import { endLeakWatch, Resource } from './resource.js';

export class FileCore extends Resource {
  readonly handle: Handle;
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** Open regions over it. */
  regions = 0;

  constructor(handle: Handle, sizeBytes: number, readOnly: boolean) {
    super('file', null);
    this.handle = handle;
    this.sizeBytes = sizeBytes;
    this.readOnly = readOnly;
  }

  /** Unlike the others, an unmap that is refused leaves the file as it was. */
  unmap(): Promise<void> {
    if (this.state === 'open' && this.regions > 0) {
      const count = this.regions === 1 ? 'a region uses' : `${this.regions} regions use`;
      return Promise.reject(
        new RpmaError('ERR_RPMA_BUSY', `file.unmap(): ${count} the file; close them first`),
      );
    }
    return this.close();
  }

  override destroy(): void {
    this.unmap().catch(() => undefined);
  }

  protected override async shut(): Promise<void> {
    const result = await native.fileUnmap(this.handle);
    if (isNativeError(result)) {
      this.reopen();
      throw failureOf(result, 'file.unmap()');
    }
    endLeakWatch(this);
  }
}
