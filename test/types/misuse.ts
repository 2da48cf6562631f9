// SPDX-License-Identifier: BSD-3-Clause
//
// What the types must refuse. Never run: the compiler reads it, and an error that is missing is
// one.

import {
  CompletionQueue,
  type Connection,
  Epoll,
  MemoryRegion,
  MemoryUsage,
  Peer,
  PeerConfig,
  RemoteRegion,
  RpmaError,
  type Source,
} from 'rpma';

declare const peer: Peer;
declare const connection: Connection;
declare const local: MemoryRegion;
declare const remote: RemoteRegion;

export function posts(): void {
  // @ts-expect-error local and remote are swapped
  connection.postWrite({ local: remote, remote: local, length: 8 });
  // @ts-expect-error a misspelt field
  connection.postWrite({ local, remote, lenght: 8 });
  // @ts-expect-error a bigint offset
  connection.postWrite({ local, remote, remoteOffset: 8n, length: 8 });
  // @ts-expect-error half of local and remote
  connection.postWrite({ local, length: 8 });
  // @ts-expect-error bytes without memory
  connection.postWrite({ length: 8 });
  // @ts-expect-error an unknown word
  connection.postWrite({ local, remote, length: 8, completion: 'never' });
  // @ts-expect-error immediate data is a number
  connection.postSend({ local, length: 8, immediate: 1n });
  // @ts-expect-error a read carries none
  connection.postRead({ local, remote, length: 8, immediate: 1 });
  // @ts-expect-error a receive is told it, and says none
  connection.postReceive({ local, length: 8, immediate: 1 });
  // @ts-expect-error a flush needs a type
  connection.postFlush({ remote, length: 8 });
  // @ts-expect-error an unknown flush type
  connection.postFlush({ remote, length: 8, type: 'durable' });
  // @ts-expect-error the value is a bigint or bytes
  connection.postAtomicWrite({ remote, value: 1 });
  // @ts-expect-error a receive has no completion choice
  connection.postReceive({ local, length: 8, completion: 'on-error' });
  // @ts-expect-error raw bytes are no region
  connection.postWrite({ local: new Uint8Array(8), remote, length: 8 });
}

export function promises(signal: AbortSignal): void {
  // @ts-expect-error a receive cannot be given up
  void connection.receive({ local, length: 8, timeoutMs: 5 });
  // @ts-expect-error nor by a signal
  void connection.receive({ local, length: 8, signal });
  // @ts-expect-error an unknown guarantee
  void connection.write({ local, remote, length: 8, until: 'persistent' });
  // @ts-expect-error a read has no guarantee to choose
  void connection.read({ local, remote, length: 8, until: 'durable' });
  // @ts-expect-error on-error has no promise
  void connection.write({ local, remote, length: 8, completion: 'on-error' });
}

export function objects(): void {
  // @ts-expect-error made by peer.allocate() and peer.register()
  new MemoryRegion();
  // @ts-expect-error made by connections
  new CompletionQueue();
  // @ts-expect-error made by Peer.open()
  new Peer();
  // @ts-expect-error made of a descriptor
  new RemoteRegion();
  // @ts-expect-error usage is required
  void peer.register(new ArrayBuffer(8), {});
  // @ts-expect-error text is no memory
  void peer.register('memory', { usage: MemoryUsage.Send });
  // @ts-expect-error an unknown provider
  void Peer.open({ provider: 'tcp' });
  // @ts-expect-error no part of this version
  void Peer.open({ progressThreads: 2 });
  // @ts-expect-error no number
  void peer.listen('::1', 0, { connection: { sharedCompletionChannel: 1 } });
  // @ts-expect-error the channel is there only when it was asked for
  void connection.completionChannel.fd;
  // @ts-expect-error an unknown word
  new Epoll<string>().add(0, 'input', 'in');
  // @ts-expect-error what is attached has a type
  new Epoll<string>().add(0, 1);
  // @ts-expect-error a bare address says too little
  void Peer.open({ address: '127.0.0.1' });
  // @ts-expect-error a value, not to be changed
  new PeerConfig().directWriteToPmem = true;
  // @ts-expect-error the mask is not to be changed
  MemoryUsage.Send = 1;
  // @ts-expect-error an unknown code
  new RpmaError('ERR_RPMA_OK', 'x');
}

export function tickets(): void {
  const ticket = peer.share();
  // @ts-expect-error opaque, and not to be changed
  ticket.token = '';
  // @ts-expect-error an options object
  peer.share(5);
  // @ts-expect-error a ticket, not its token
  Peer.adopt(ticket.token);
}

export function waits(source: Source<number>): void {
  // @ts-expect-error the bound is required
  source.takeSync();
  // @ts-expect-error a number, not options
  source.takeSync({ timeoutMs: 5 });
  // @ts-expect-error options, not a number
  void source.take(5);
}
