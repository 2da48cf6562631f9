// SPDX-License-Identifier: BSD-3-Clause
//
// Publishes what an endpoint reports besides requests on the channel `rpma:error`. The addon counts
// and coalesces; here there is one message a report. Loads no addon; JS thread only.

import type { ErrorReport, ErrorReportKind } from '../diagnostics.js';
import type { Endpoint } from '../endpoint.js';
import { RpmaError } from '../errors.js';
import { limits, type ReportKind, reportKinds } from './abi.generated.js';
import { isHeard, publish } from './channels.js';
import { failureOf } from './failure.js';
import type { NativeReport } from './native.js';

const deeds: Readonly<Record<ErrorReportKind, string>> = {
  'accept-paused': `pauses for ${limits.acceptPauseMs} ms`,
  'setup-refused': 'closed the newest set-up',
  'connection-refused': 'refused the newest connection',
  'address-slowed': 'delays a set-up',
};

function isKnown(kind: ReportKind | undefined): kind is ErrorReportKind {
  return kind !== undefined && kind !== 'none';
}

/** Nothing is made of the reports while nobody listens. */
export function publishReports(endpoint: Endpoint, reports: readonly NativeReport[]): void {
  if (!isHeard('error')) return;
  for (const { kind: index, count, address, error } of reports) {
    const kind = reportKinds[index];
    if (!isKnown(kind)) continue;
    const place = `the endpoint at ${endpoint.address} port ${endpoint.port}`;
    const from = address === '' ? '' : ` from ${address}`;
    const failure = failureOf(error, `${place} ${deeds[kind]}${from}`, { scope: 'endpoint' });
    const report: ErrorReport = {
      endpoint,
      kind,
      count,
      address: address === '' ? null : address,
      error: failure instanceof RpmaError ? failure : new RpmaError('ERR_RPMA_INTERNAL', place),
    };
    publish('error', () => report);
  }
}
