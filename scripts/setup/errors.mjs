// SPDX-License-Identifier: BSD-3-Clause
//
// A set-up step that failed for a reason its message explains.
export class SetupError extends Error {}
