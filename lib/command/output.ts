// SPDX-License-Identifier: BSD-3-Clause
//
// What a command prints: lines for people, or one JSON object a line. Colours are for terminals,
// NO_COLOR and FORCE_COLOR decide otherwise. A reader that goes away (`| head -1`) ends the command
// quietly; an output that fails otherwise (a full disk) is the command's failure.

import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Whether a stream shall have colours. Node's own look at the environment prints warnings. */
export function wantsColour(stream: { readonly isTTY?: boolean | undefined }): boolean {
  const forced = process.env['FORCE_COLOR'];
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  if ((process.env['NO_COLOR'] ?? '') !== '') return false;
  return stream.isTTY === true && process.env['TERM'] !== 'dumb';
}

/** The text in a colour, where the stream shall have some. */
export function coloured(style: Style, text: string, stream: NodeJS.WriteStream): string {
  return wantsColour(stream) ? styleText(style, text, { validateStream: false }) : text;
}

/** Standard output of one run. */
export class Output {
  readonly #stream: NodeJS.WriteStream;
  readonly #ended: AbortController = new AbortController();
  readonly #onError: (error: NodeJS.ErrnoException) => void;
  #failure: Error | null = null;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.#onError = (error) => {
      if (error.code !== 'EPIPE') this.#failure ??= error;
      this.#ended.abort();
    };
    stream.on('error', this.#onError);
  }

  /** Aborted once nothing more can be written: what still runs had better end. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Why nothing more can be written, unless the reader has had enough. */
  get failure(): Error | null {
    return this.#failure;
  }

  write(text: string): void {
    if (!this.#ended.signal.aborted) this.#stream.write(text);
  }

  line(text: string): void {
    this.write(`${text}\n`);
  }

  json(value: object): void {
    this.line(JSON.stringify(value));
  }

  colour(style: Style, text: string): string {
    return coloured(style, text, this.#stream);
  }

  /** Resolves once what was written has been taken, or cannot be. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#ended.signal.aborted) resolve();
      else this.#stream.write('', () => resolve());
    });
  }
}

/** What every command is given beside its own options. */
export interface CommandContext {
  readonly output: Output;
  /** Objects instead of lines. */
  readonly json: boolean;
}
