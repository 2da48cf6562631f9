// SPDX-License-Identifier: BSD-3-Clause
//
// What stands for librpma's unit tests here, by a short name: the test that shows the same, or the
// reason why nothing can show it through a JavaScript interface. Used by librpma-subset.ts.

/** A test by file (of test/) and title, or the reason why there is none. */
export type Proof = { readonly file: string; readonly title: string } | { readonly reason: string };

function by(file: string): (title: string) => Proof {
  return (title) => ({ file: `conformance/librpma-${file}.test.ts`, title });
}

function because(reason: string): Proof {
  return { reason };
}

const [args, completions, config, connecting] = [
  by('arguments'),
  by('completions'),
  by('config'),
  by('connecting'),
];
const [defects, descriptors, errors, events] = [
  by('defects'),
  by('descriptors'),
  by('errors'),
  by('events'),
];
const [flush, regions, shared] = [by('flush'), by('regions'), by('shared-receive-queue')];

const tests: Readonly<Record<string, Proof>> = {
  receiver: args('is needed to call its methods: NULL in its place is a TypeError'),
  read: args('rpma_read: half of local and remote, a length or offset without them, no completion'),
  write: args(
    'rpma_write: half of local and remote, a length or offset without them, no completion',
  ),
  send: args('rpma_send: a length or offset without local, no completion'),
  receive: args('rpma_recv: a length or offset without local'),
  requestReceive: args('rpma_conn_req_recv: a length or offset without local'),
  atomicWrite: args('rpma_atomic_write: no region, no value, no completion, an offset off 8 bytes'),
  flush: args('rpma_flush: no region, no completion, no such type (librpma takes any type)'),
  flushUnvouched: flush('emulated: PERSISTENT without an applied directWriteToPmem is refused'),
  flushPersistent: flush(
    "emulated: persistent needs the region's grant of that type, whatever was applied",
  ),
  flushVisibility: flush(
    "emulated: visibility needs the region's grant of that type, whatever was applied",
  ),
  flushGrants: flush('natively: the grant of the region decides, for each type'),
  flushAlone: defects('B7: a flush grant alone suffices, natively'),
  establishedNone: events('ESTABLISHED without any private data'),
  establishedReply: events('ESTABLISHED with data of the accepting side'),
  establishedRequest: events(
    'ESTABLISHED with data of the connecting side, which the accepting side had before',
  ),
  establishedBoth: events('ESTABLISHED with data of both sides: each keeps what the other said'),
  noEvent: events('no event yet is null, not an error'),
  disconnected: events('DISCONNECTED is CLOSED, on both sides'),
  timewait: events('TIMEWAIT_EXIT brings no second CLOSED: after the last event there is none'),
  rejected: events('REJECTED when the other side says no'),
  unreachable: events('UNREACHABLE when nobody answers'),
  connectError: events('CONNECT_ERROR is LOST: the other side speaks nonsense before it is up'),
  lost: events('LOST when an established connection breaks, with the cause'),
  addrError: events('ADDR_ERROR comes before there is a connection: the look-up rejects'),
  success: errors('success is no value to look at: what succeeds returns or resolves'),
  noSupport: errors('RPMA_E_NOSUPP of a flush that the region does not grant names the grant'),
  provider: errors(
    'RPMA_E_PROVIDER carries the errno and the call that failed, which librpma logs only',
  ),
  noMemory: errors('RPMA_E_NOMEM is NO_MEMORY'),
  invalid: errors('RPMA_E_INVAL is a TypeError or RangeError with a code'),
  nothing: errors('RPMA_E_NO_COMPLETION and RPMA_E_NO_EVENT are no errors: null, [] or 0'),
  pollCount: completions('num_entries that is not positive is refused'),
  pollBatch: completions('a batch that is NULL, or none, is refused'),
  pollOne: completions('what was fetched is one value where the count may be left out'),
  pollEmpty: completions('an empty queue gives nothing, and no error: [], 0 and null'),
  pollAtMost: completions('gives what is there, never more than was asked for'),
  opcodes: completions('each operation is named as it was posted'),
  opcodesAll: completions('all operations at once come in the order of their posts'),
  readInto: regions('ReadDestination is enough to read into: no one else may write there'),
  registerNull: regions('refuses NULL memory, and options that are NULL'),
  registerEmpty: regions('refuses size 0'),
  registerUsage: regions('refuses usage 0'),
  registerUnknown: regions('refuses unknown usage bits'),
  regionTwice: regions('a region is closed once, however often it is asked'),
  regionBytes: descriptors('has 21 bytes, whatever the region'),
  regionFields: descriptors(
    'is read field by field: address u64, size u64, key u32, usage u8, little-endian',
  ),
  regionNull: descriptors('that is NULL, or no bytes, is a TypeError'),
  regionShort: descriptors('of fewer than 21 bytes is refused, of more is read without its tail'),
  regionUsage: descriptors('with usage 0 is refused'),
  regionAligned: descriptors('is read at any alignment, in buffers of any kind'),
  peerDefault: descriptors('says no unless told, and keeps what it was told'),
  peerByte: descriptors('has 1 byte, written as 0 or 1'),
  peerRoundTrip: descriptors('comes back as it was given'),
  peerNull: descriptors('that is NULL, or no bytes, is a TypeError'),
  peerShort: descriptors('of no byte is refused'),
  applyNull: descriptors('is applied to a connection; NULL, or what is no PeerConfig, is refused'),
  timeoutNegative: config('a negative timeout is refused'),
  sizesTooLarge: config('sizes beyond what there can be are refused (librpma cuts them to an int)'),
  settingsKept: config('timeout, cq_size, rcq_size, sq_size and rq_size are kept as given'),
  deviceNull: connecting(
    'an address that is NULL or no text, and options that are NULL, are refused',
  ),
  deviceUnknown: connecting('a device that is of no known kind is refused'),
  addressNull: connecting('an address or port that is NULL, or none, is refused'),
  requestSpent: connecting('a request is spent by connecting, and by nothing else'),
  dataEmpty: connecting('private data of no bytes is the same as none (librpma refuses it)'),
  channelDefault: by('waiting')('compl_channel is false by default, and kept as given'),
  channelMain: by('waiting')('rpma_conn_wait without a receive queue: always the main queue'),
  channelNone: by('waiting')(
    'rpma_conn_get_compl_fd: RPMA_E_NOT_SHARED_CHNL is null: there is no channel',
  ),
  channelShared: by('waiting')(
    'RPMA_E_SHARED_CHANNEL: waiting on a queue whose channel is shared is refused',
  ),
  logLevel: by('log')('a level that is none is refused, and nothing changes'),
  logThreshold: by('log')('a threshold that is none does not exist'),
  sharedDefaults: shared('rq_size and rcq_size are 20 by default'),
  sharedKept: shared('rq_size and rcq_size are kept as given'),
  sharedBounds: shared(
    'sizes beyond what there can be are refused (librpma cuts them to an int), and so is 0 receives',
  ),
  sharedReceive: shared(
    'rpma_srq_recv: a length or offset without local is refused, the zero-byte form is taken',
  ),
  sharedSetting: shared('is kept by a configuration, and unset by leaving it out (librpma cannot)'),
  sharedChannel: shared(
    'a shared completion channel and a shared receive queue with its own queue exclude each other',
  ),
  sharedEnd: shared('B11: while a connection uses it, closing it is BUSY, and it stays usable'),
  ends: connecting('an end may be asked for twice: everything that closes closes once'),
  immediate: by('immediate')(
    'rpma_send_with_imm and rpma_write_with_imm: the arguments of send and write are checked',
  ),
};

/** What a usage bit opens to the other side. */
export function usage(name: string): Proof {
  return regions(`${name} opens its own use to the other side, and no other`);
}

/** The default of a setting. */
export function setting(name: string): Proof {
  return config(`${name} is 10 by default: sendQueueSize`);
}

const reasons: Readonly<Record<string, Proof>> = {
  out: because('results are returned: there is no pointer to put them at'),
  field: because('a field of a value: reading it of null is the language’s own TypeError'),
  value: because('a configuration is a value that cannot be changed: there is no setter'),
  collected: because('a value: nothing has to be deleted'),
  internal: because('an internal function of librpma, whose arguments nobody outside gives'),
  malloc: because('a small allocation that fails ends the process, as Node’s own do'),
  verbs: because('of ibv_reg_mr and on-demand paging: iwarp registers in its own table'),
  infiniBand: because('access flags of an InfiniBand device, which this version does not use'),
  cmFailure: because('of the event channel of rdma_cm: events are kept in memory here'),
  deviceRemoval: because('of an RDMA device: iwarp’s is the TCP stack'),
  words: because('the words of events are a closed set of types'),
  pollFails: because('a queue in memory cannot fail to be polled, or give more than was asked'),
  again: because('of builds without C11 atomics'),
  unknown: because('a defect of the library itself (ERR_RPMA_INTERNAL)'),
};

function named(table: Readonly<Record<string, Proof>>, name: string): Proof {
  const proof = table[name];
  if (proof === undefined) throw new Error(`no proof is named '${name}'`);
  return proof;
}

/** A test by its short name. */
export function shown(name: string): Proof {
  return named(tests, name);
}

/** A reason by its short name. */
export function none(name: string): Proof {
  return named(reasons, name);
}

/** Every short name that exists, to find those that nothing uses. */
export const proofs: readonly Proof[] = [...Object.values(tests), ...Object.values(reasons)];
