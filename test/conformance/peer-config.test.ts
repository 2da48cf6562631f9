// SPDX-License-Identifier: BSD-3-Clause
//
// The peer configuration and its 1-byte descriptor (librpma: peer_cfg_*).

import assert from 'node:assert/strict';
import { PeerConfig } from 'rpma';
import { argumentError, conform } from '../support/conform.js';

conform('peer configuration', ({ it }) => {
  it('says no direct write to persistent memory unless told', () => {
    assert.equal(new PeerConfig().directWriteToPmem, false);
    assert.equal(new PeerConfig({ directWriteToPmem: true }).directWriteToPmem, true);
  });

  it('is one byte, 0 or 1', () => {
    assert.deepEqual([...new PeerConfig().toDescriptor()], [0]);
    assert.deepEqual([...new PeerConfig({ directWriteToPmem: true }).toDescriptor()], [1]);
  });

  it('reads any byte but 0 as true and ignores what follows', () => {
    for (let byte = 0; byte < 256; byte++) {
      const config = PeerConfig.fromDescriptor(Uint8Array.of(byte, 1, 1));
      assert.equal(config.directWriteToPmem, byte !== 0);
    }
  });

  it('refuses no byte at all', () => {
    assert.throws(
      () => PeerConfig.fromDescriptor(new Uint8Array(0)),
      argumentError('RangeError', 'DESCRIPTOR'),
    );
  });

  it('may be applied to a connection in any state; natively nothing depends on it', async (world) => {
    const pair = await world.pair();
    pair.initiator.applyRemotePeerConfig(new PeerConfig({ directWriteToPmem: true }));
    pair.initiator.applyRemotePeerConfig(new PeerConfig());
    assert.equal(pair.initiator.state, 'established');
  });
});
