// SPDX-License-Identifier: BSD-3-Clause
//
// tshark captures each run of each example on loopback and finds the set-up, the messages that the
// example is about, and no malformed frame. Several runs at once: most of the time is tshark's
// start. It needs the right to capture. Two test files have one half of the examples each.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { examplePages, portOf, type Run, runsOf, startProgram } from '../docs/example-runs.js';
import { assertSuccess, type Program } from '../docs/support.js';
import { Capture, captureObstacle, dissect } from '../support/capture.js';
import { diskFolder, removeFolder } from '../support/folders.js';
import { opcodes } from '../support/iwarp.js';

type Opcode = keyof typeof opcodes;

/** What a run must show beside the set-up and the hello, by the example's name. */
const operations: Readonly<Record<string, readonly Opcode[]>> = {
  '01-connection': [],
  '02-read-to-volatile': ['readRequest', 'readResponse'],
  '03-read-to-persistent': ['readRequest', 'readResponse'],
  '04-write-to-persistent': ['write', 'readRequest', 'readResponse'],
  '05-flush-to-persistent': ['write', 'extension', 'extension'],
  '06-multiple-connections': ['readRequest', 'readResponse'],
  '06scch-multiple-connections': ['readRequest', 'readResponse'],
  '07-atomic-write': ['readRequest', 'readResponse', 'write', 'extension', 'extension'],
  '08-messages-ping-pong': ['send', 'send'],
  '08srq-simple-messages-ping-pong-with-srq': ['send', 'send'],
  '09-flush-to-persistent-GPSPM': ['write', 'send', 'send'],
  '09scch-flush-to-persistent-GPSPM': ['write', 'send', 'send'],
  '10-send-with-imm': ['extension'],
  '11-write-with-imm': ['write', 'immediate'],
  '12-receive-completion-queue': ['send', 'send'],
  '12scch-receive-completion-queue': ['send', 'send'],
  '13-messages-ping-pong-with-srq': ['send', 'send'],
};

/** Runs both programs of an example in the folder, and captures what passes between them. */
async function captureRun(capture: (port: number) => Promise<Capture>, run: Run, folder: string) {
  const server = startProgram(run.server, '0', folder);
  let client: Program | null = null;
  try {
    const port = await portOf(server);
    const capturing = await capture(Number(port));
    client = startProgram(run.client, port, folder);
    const [clientEnd, serverEnd] = await Promise.all([client.end(), server.end()]);
    assertSuccess(clientEnd, 'the client');
    assertSuccess(serverEnd, 'the server');
    await capturing.end();
  } finally {
    server.kill();
    client?.kill();
  }
}

interface Packets {
  readonly info: string;
  /** Of all frames: one packet of TCP may hold several. */
  readonly opcodes: readonly number[];
  readonly malformed: string;
}

/** One dissection, because starting tshark is what takes long. */
function packetsIn(file: string): Packets {
  const fields = ['_ws.col.Info', 'iwarp_rdma.opcode', '_ws.malformed'];
  const text = dissect(file, '-T', 'fields', ...fields.flatMap((field) => ['-e', field]));
  const rows = text.split('\n').map((line) => line.split('\t'));
  const numbers = rows.flatMap(([, found = '']) => found.split(',')).filter((each) => each !== '');
  return {
    info: rows.map(([info]) => info).join('\n'),
    opcodes: numbers.map(Number),
    malformed: rows.map(([, , malformed = '']) => malformed).join(''),
  };
}

const reason = captureObstacle();

/** Captures every run of the examples whose number, as their folders are named, is chosen. */
export function describeCaptures(isChosen: (number: number) => boolean): void {
  const pages = examplePages().filter((page) => isChosen(Number.parseInt(nameOf(page), 10)));
  assert.ok(pages.length > 0, 'no example is chosen');
  describe('tshark decodes what the examples put on loopback', { concurrency: 3 }, () => {
    for (const page of pages) capturePage(page);
  });
}

function nameOf(page: string): string {
  return page.split('/')[1] ?? '';
}

function capturePage(page: string): void {
  const name = nameOf(page);
  for (const [n, run] of runsOf(page).entries()) {
    it(`${name}, run ${n + 1}`, { skip: reason ?? false }, async (test) => {
      const expected = operations[name];
      assert.ok(expected !== undefined, 'this test does not know what the example does');
      const folder = await diskFolder();
      test.after(() => removeFolder(folder));
      const file = join(folder, 'frames.pcapng');
      await captureRun((port) => Capture.start(test, port, file), run, folder);
      const packets = packetsIn(file);
      for (const found of ['MPA Request Frame', 'MPA Reply Frame']) {
        assert.ok(packets.info.includes(found), `no ${found} in\n${packets.info}`);
      }
      const left = [...packets.opcodes];
      test.diagnostic(`opcodes ${left.join(' ')}`);
      // The hello is an empty Write.
      for (const word of ['write', ...expected] as const) {
        const at = left.indexOf(opcodes[word]);
        assert.ok(at >= 0, `no ${word}, or too few, in\n${packets.info}`);
        left.splice(at, 1);
      }
      assert.equal(packets.malformed, '');
    });
  }
}
