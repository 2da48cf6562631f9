// SPDX-License-Identifier: BSD-3-Clause
//
// The codes that an error of the library may have. Loads no addon.

import { statuses } from '../../lib/internal/abi.generated.js';

/** Every code of the library: abi/status.json is the source of docs/reference/errors.md, too. */
export const documentedCodes: ReadonlySet<string> = new Set(statuses.map(({ code }) => code));
