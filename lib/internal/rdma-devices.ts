// SPDX-License-Identifier: BSD-3-Clause
//
// What the kernel and the system have of RDMA: devices below /sys/class/infiniband, and whether the
// libraries that talk to them are installed. Reads files only; no addon. A folder that is not there
// means that there is nothing of the kind. The paths are arguments for tests.

import { access, readdir, readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';

/** A device of the kernel. */
export interface RdmaDevice {
  readonly name: string;
  /** Addresses of the network interfaces that it belongs to. */
  readonly addresses: readonly string[];
}

/** A library that programs load at run time, and the package that brings it. */
interface Library {
  readonly file: string;
  readonly package: string;
}

const libraries: readonly Library[] = [
  { file: 'libibverbs.so.1', package: 'libibverbs1' },
  { file: 'librdmacm.so.1', package: 'librdmacm1' },
];

const machines: Readonly<Record<string, string>> = {
  x64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
  riscv64: 'riscv64-linux-gnu',
  ppc64: 'powerpc64le-linux-gnu',
};

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

async function textOf(file: string): Promise<string> {
  return readFile(file, 'utf8').then(
    (text) => text.trim(),
    () => '',
  );
}

/**
 * The network interfaces that a device belongs to, as its driver tells: not each tells each way.
 */
async function interfacesOf(device: string): Promise<string[]> {
  const found = new Set(await namesIn(join(device, 'device', 'net')));
  found.add(await textOf(join(device, 'parent')));
  for (const port of await namesIn(join(device, 'ports'))) {
    const entries = join(device, 'ports', port, 'gid_attrs', 'ndevs');
    for (const entry of await namesIn(entries)) found.add(await textOf(join(entries, entry)));
  }
  found.delete('');
  return [...found];
}

/** The RDMA devices of the kernel, in the order of their names. */
export async function rdmaDevices(
  folder: string = '/sys/class/infiniband',
): Promise<readonly RdmaDevice[]> {
  const own = networkInterfaces();
  const names = (await namesIn(folder)).sort();
  return Promise.all(
    names.map(async (name) => {
      const interfaces = await interfacesOf(join(folder, name));
      const addresses = interfaces.flatMap((each) => own[each] ?? []).map(({ address }) => address);
      return { name, addresses: [...new Set(addresses)] };
    }),
  );
}

/** The packages of the libraries that the dynamic linker would not find. */
export async function missingRdmaPackages(
  cache: string = '/etc/ld.so.cache',
  folders: readonly string[] = ['/lib', '/lib64', '/usr/lib', '/usr/lib64', '/usr/local/lib'],
): Promise<readonly string[]> {
  const known = await readFile(cache, 'latin1').catch(() => '');
  const machine = machines[process.arch];
  const places = folders.flatMap((folder) =>
    machine === undefined ? [folder] : [folder, join(folder, machine)],
  );
  const missing: string[] = [];
  for (const { file, package: name } of libraries) {
    if (known.includes(file)) continue;
    const looks = places.map((folder) =>
      access(join(folder, file)).then(
        () => true,
        () => false,
      ),
    );
    if (!(await Promise.all(looks)).includes(true)) missing.push(name);
  }
  return missing;
}
