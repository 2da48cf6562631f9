// SPDX-License-Identifier: BSD-3-Clause
//
// What tests of the inside need and the public surface does not offer: fault points, switches,
// and files over the test domain, whose second copy changes only inside persist. Needs the test
// flavour; import test-flavour.ts first.

import { PmemFile, type PmemMapOptions } from 'rpma';
import { limits } from '../../lib/internal/abi.generated.js';
import { isNativeError, native, type NativeTest } from '../../lib/internal/native.js';

export { documentedCodes } from './codes.js';

/** Bounds and figures of abi/layout.json, for tests that reach them. */
export { limits };

export function nativeTest(): NativeTest {
  const { test } = native;
  if (test === undefined) throw new Error(`the ${native.flavour} flavour has no test interface`);
  return test;
}

/** A file whose persists go to a second copy, as if the file were the copy and power could fail. */
export class OracleFile {
  readonly file: PmemFile;
  readonly #handle: number;

  private constructor(file: PmemFile, handle: number) {
    this.file = file;
    this.#handle = handle;
  }

  static async map(path: string, options: PmemMapOptions): Promise<OracleFile> {
    const fileMap = native.fileMap.bind(native);
    const handles: number[] = [];
    const patched = native as { fileMap: typeof native.fileMap };
    patched.fileMap = async (name, settings) => {
      const result = await fileMap(name, { ...settings, oracle: true });
      if (!isNativeError(result)) handles.push(result);
      return result;
    };
    try {
      const file = await PmemFile.map(path, options);
      const [handle] = handles;
      if (handle === undefined) throw new Error('the file was mapped in another way');
      return new OracleFile(file, handle);
    } finally {
      patched.fileMap = fileMap;
    }
  }

  /** What would be found after the power came back. */
  copy(): Uint8Array {
    return new Uint8Array(nativeTest().oracleCopy(this.#handle));
  }

  /** The n-th persist from now is cut in the middle; it and all later ones fail. 0: never. */
  cut(nth: number, seed: number): void {
    nativeTest().oracleCut(this.#handle, nth, seed);
  }

  get persists(): number {
    return nativeTest().oraclePersists(this.#handle);
  }
}
