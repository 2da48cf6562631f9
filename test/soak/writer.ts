// SPDX-License-Identifier: BSD-3-Clause
//
// The writer of the soak: connects where it is told, reads the log back and appends to it until the
// connection ends or it is told to stop; then it can be told again. What happens in a session is
// session.ts.

import { Peer } from 'rpma';
import { commands, report } from '../support/child.js';
import type { Stopped, WriterCommand } from './protocol.js';
import { Session, sessionMemory } from './session.js';

const peer = await Peer.open({ remoteAddress: '127.0.0.1' });
const memory = await sessionMemory(peer);
let session: Session | null = null;

report({ kind: 'warm' });
for await (const command of commands<WriterCommand>()) {
  if (command.kind === 'stop') break;
  session = new Session(peer, memory, command);
  void session.run();
}
await session?.stop();
await peer.close();
report<Stopped>({ kind: 'stopped' });
