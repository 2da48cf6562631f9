// SPDX-License-Identifier: BSD-3-Clause
//
// Defect B5 of librpma: when the queues of an incoming request cannot be made, it acknowledges the
// event and says nothing, so the client waits for its own deadline. Here the error is thrown where
// the request would have been given, and the client is rejected at once.

import '../support/test-flavour.js';
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { conform, withCode } from '../support/conform.js';
import { withDeadline } from '../support/deadline.js';
import { nativeTest } from '../support/native.js';

const { ENOMEM } = constants.errno;

conform('a request whose queues cannot be made', ({ provider, it }) => {
  if (provider !== 'iwarp') return;

  for (const point of ['iwarp.completion-ring', 'iwarp.inbound-slots', 'iwarp.send-slots']) {
    it(`(${point}) is rejected at once, and the endpoint goes on`, async (world) => {
      const [client, server] = [await world.peer(), await world.peer()];
      const endpoint = await server.listen('127.0.0.1', 0);
      const outgoing = await client.createConnectionRequest('127.0.0.1', endpoint.port);
      const connection = outgoing.connect();
      world.after(() => nativeTest().faultClear());
      nativeTest().faultSet(point, 1, 1, ENOMEM, 0);
      await assert.rejects(endpoint.take({ timeoutMs: 10_000 }), withCode('NO_MEMORY'));
      // Long before its own deadline, connectTimeoutMs, which would say that nobody answered.
      const end = await withDeadline(connection.whenClosed(), 'the client is told', 5000);
      assert.equal(end.type, 'rejected');
      assert.equal(await endpoint.take({ timeoutMs: 5 }), null);
      const dialling = client.connect('127.0.0.1', endpoint.port);
      (await withDeadline(endpoint.take(), 'another request'))?.accept();
      await withDeadline(dialling, 'established');
    });
  }
});
