// SPDX-License-Identifier: BSD-3-Clause
//
// The file that an example keeps its data in. From the given offset on it starts with a signature,
// as in librpma's examples, of 17 bytes if no other is given; the data follow. The signature is
// made durable after the data, so a file that carries it is valid however its making was
// interrupted. A file that does not exist is made.

import { existsSync } from 'node:fs';
import { isRpmaError, PmemFile } from 'rpma';

const usualSignature = new TextEncoder().encode('RPMA_EXAMPLE_SIG\0');
const newFileBytes = 65_536;

/** Bytes of the usual signature: where the data start when the used part starts at 0. */
export const signatureBytes: number = usualSignature.length;

export interface ExampleFileOptions {
  /** Room that the data need, in bytes. */
  readonly dataBytes: number;
  /** Where the used part of the file starts. */
  readonly offset?: number;
  /** What marks the data as valid, where it is not the usual signature. */
  readonly signature?: Uint8Array;
  /** Writes the first data of a new file; without it they are zero. */
  readonly initialise?: (data: Uint8Array) => void;
}

/** Maps the file and sees to it that it carries the signature. */
export async function openExampleFile(
  path: string,
  options: ExampleFileOptions,
): Promise<PmemFile> {
  const {
    dataBytes,
    offset = 0,
    signature = usualSignature,
    initialise = (data: Uint8Array) => data.fill(0),
  } = options;
  const dataOffset = offset + signature.length;
  const neededBytes = dataOffset + dataBytes;
  const file = await mapFile(path, Math.max(neededBytes, newFileBytes));
  if (file.sizeBytes < neededBytes) {
    await file.unmap();
    throw new Error(`${path} is too small: ${file.sizeBytes} bytes, ${neededBytes} are needed`);
  }
  const found = file.view(offset, signature.length);
  if (!signature.every((byte, index) => byte === found[index])) {
    initialise(file.view(dataOffset, dataBytes));
    await file.persist(dataOffset, dataBytes);
    found.set(signature);
    await file.persist(offset, signature.length);
  }
  return file;
}

async function mapFile(path: string, newBytes: number): Promise<PmemFile> {
  try {
    if (existsSync(path)) return await PmemFile.map(path);
    return await PmemFile.map(path, { create: true, sizeBytes: newBytes });
  } catch (error) {
    if (!isRpmaError(error) || error.code !== 'ERR_RPMA_NOT_PERSISTENT') throw error;
    const cure = 'choose a path on a disk or on persistent memory';
    throw new Error(`${path} would not last, its file system is in memory: ${cure}`, {
      cause: error,
    });
  }
}
