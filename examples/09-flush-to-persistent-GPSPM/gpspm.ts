// SPDX-License-Identifier: BSD-3-Clause
//
// The two messages of the general-purpose server persistency method: "persist these bytes", and
// "they are". They are librpma's protocol buffers; every field is fixed64, so a request has 27
// bytes and a response 9. A protobuf library writes and reads them; what it reads is the other
// side's word, and whoever acts on it checks it first (rangeOf).

import protobuf from 'protobufjs';

const { root } = protobuf.parse(`
  syntax = "proto2";
  message GPSPM_flush_request {
    required fixed64 offset = 1;     // from the start of the registered region
    required fixed64 length = 2;
    required fixed64 op_context = 3; // comes back in the response
  }
  message GPSPM_flush_response {
    required fixed64 op_context = 1;
  }
`);

export interface FlushRequest {
  readonly offset: bigint;
  readonly length: bigint;
  readonly opContext: bigint;
}

export interface FlushResponse {
  readonly opContext: bigint;
}

/** A message of one type, to bytes and back. */
class Codec<Message extends object> {
  readonly #name: string;
  readonly #type: protobuf.Type;

  constructor(name: string) {
    this.#name = name;
    this.#type = root.lookupType(name);
  }

  /** Writes the message to the start of `out`; returns how many bytes it has. */
  pack(message: Message, out: Uint8Array): number {
    const bytes = this.#type.encode(this.#type.fromObject(message)).finish();
    if (bytes.length > out.length) {
      throw new Error(`a ${this.#name} of ${bytes.length} bytes, and room for ${out.length}`);
    }
    out.set(bytes);
    return bytes.length;
  }

  /** Throws when the bytes are no such message. */
  unpack(bytes: Uint8Array): Message {
    try {
      const message = this.#type.decode(bytes);
      return this.#type.toObject(message, { longs: BigInt }) as Message;
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      throw new Error(`${bytes.length} bytes that are no ${this.#name}: ${cause}`, {
        cause: error,
      });
    }
  }
}

export const flushRequest: Codec<FlushRequest> = new Codec('GPSPM_flush_request');
export const flushResponse: Codec<FlushResponse> = new Codec('GPSPM_flush_response');

/** One buffer holds both: what is sent at its start, what is received in its second half. */
export const messageBufferBytes = 1024;
export const sendOffset = 0;
export const receiveOffset = 512;
export const messageBytesMax = 512;

/** The requested range in numbers, or throws when it is not all within a region of that size. */
export function rangeOf(
  { offset, length }: FlushRequest,
  sizeBytes: number,
): { readonly offset: number; readonly length: number } {
  if (length > BigInt(sizeBytes) || offset > BigInt(sizeBytes) - length) {
    throw new Error(
      `the client asks to persist ${length} bytes at ${offset}, and the region has ${sizeBytes}`,
    );
  }
  return { offset: Number(offset), length: Number(length) };
}
