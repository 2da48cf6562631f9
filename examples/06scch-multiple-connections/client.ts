// SPDX-License-Identifier: BSD-3-Clause
//
// The client of example 06: what differs is how the server waits. See README.md.

import '../06-multiple-connections/client.js';
