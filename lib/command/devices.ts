// SPDX-License-Identifier: BSD-3-Clause
//
// `rpma devices`: what this machine offers, provider by provider, the absent ones with the cure.

import { type Capabilities, type DeviceInfo, devices } from '../index.js';
import { formatSize } from './arguments.js';
import { attempting } from './failure.js';
import type { CommandContext, Output } from './output.js';

/** What a capability means to a program; one without words here is told by its name. */
const phrases: Readonly<Record<string, string>> = {
  nativeFlush: 'flush is an operation of its own',
  nativeAtomicWrite: 'atomic write is an operation of its own',
  persistentFlush: 'the other side itself persists what a persistent flush names',
  immediateData: 'writes and sends carry 32 immediate bits',
  sharedReceiveQueue: 'several connections take their receives from one queue',
  backgroundProgress: 'others are served while JavaScript is busy',
  onDemandPaging: 'memory can be registered without being pinned',
  regionAdvice: 'parts of a region can be prefetched',
};

const bounds: Readonly<Record<string, (value: number) => string>> = {
  maxMessageBytes: (bytes) => `${formatSize(bytes)} at most in one write or send`,
  maxPrivateDataBytes: (bytes) => `${formatSize(bytes)} of private data`,
  maxQueueEntries: (entries) => `${entries} entries in a queue`,
  maxInlineBytes: (bytes) =>
    bytes === 0 ? 'a post copies no data' : `a post copies up to ${formatSize(bytes)}`,
};

/** 'sharedReceiveQueue' as 'shared receive queue'. */
function wordsOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

interface Told {
  readonly can: readonly string[];
  readonly cannot: readonly string[];
  readonly bounds: readonly string[];
}

function tell(capabilities: Capabilities): Told {
  const entries: [string, unknown][] = Object.entries(capabilities);
  const flags = (value: boolean): string[] =>
    entries.filter((entry) => entry[1] === value).map(([name]) => phrases[name] ?? wordsOf(name));
  const told = entries.flatMap(([name, value]) =>
    typeof value === 'number' ? [bounds[name]?.(value) ?? `${wordsOf(name)}: ${value}`] : [],
  );
  return { can: flags(true), cannot: flags(false), bounds: told };
}

function listed(output: Output, heading: string, entries: readonly string[]): void {
  const label = heading.padEnd(10);
  for (const [index, entry] of entries.entries()) {
    output.line(`  ${index === 0 ? label : ' '.repeat(label.length)} ${entry}`);
  }
}

function showDevice(output: Output, device: DeviceInfo): void {
  const name = device.name === device.provider ? '' : ` ${device.name}`;
  const title = `${output.colour('bold', device.provider)}${name}`;
  if (!device.available) {
    output.line(`${title}: ${output.colour('yellow', 'absent')}`);
    listed(output, 'because', [device.reason ?? 'of an unknown reason']);
    if (device.remedy !== undefined) listed(output, 'remedy', [device.remedy]);
    return;
  }
  output.line(`${title}: ${output.colour('green', 'available')}`);
  listed(output, 'addresses', device.addresses);
  const told = tell(device.capabilities);
  listed(output, 'can', told.can);
  listed(output, 'cannot', told.cannot);
  listed(output, 'bounds', told.bounds);
}

export async function showDevices({ output, json }: CommandContext): Promise<void> {
  const found = await attempting('devices', devices);
  for (const [index, device] of found.entries()) {
    if (json) {
      output.json(device);
      continue;
    }
    if (index > 0) output.line('');
    showDevice(output, device);
  }
}
