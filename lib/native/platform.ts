/** What a native binary depends on of the machine it runs on. */
import { existsSync } from 'node:fs';

export interface Platform {
  os: string;
  arch: string;
  /** of Linux; undefined elsewhere */
  libc?: 'glibc' | 'musl';
  /** of glibc, such as '2.36' */
  libcVersion?: string;
}

export function currentPlatform(): Platform {
  const { platform: os, arch } = process;
  return os === 'linux' ? { os, arch, ...libc() } : { os, arch };
}

/** As in the name of the package that holds its binary: 'linux-x64', 'linux-x64-musl', 'darwin-arm64'. */
export function platformName({ os, arch, libc }: Platform): string {
  return `${os}-${arch}${libc === 'musl' ? '-musl' : ''}`;
}

/** For people: 'linux-x64 (glibc 2.36)'. */
export function describePlatform({ os, arch, libc, libcVersion }: Platform): string {
  const version = libcVersion === undefined ? '' : ` ${libcVersion}`;
  return `${os}-${arch}${libc === undefined ? '' : ` (${libc}${version})`}`;
}

function libc(): Pick<Platform, 'libc' | 'libcVersion'> {
  const version = glibcVersion();
  if (version !== undefined) return { libc: 'glibc', libcVersion: version };
  // A runtime that tells nothing, such as Deno: musl's loader has a name of its own.
  const loader = { x64: 'x86_64', arm64: 'aarch64' }[process.arch as string];
  const musl =
    existsSync(`/lib/ld-musl-${loader}.so.1`) && !existsSync('/lib64/ld-linux-x86-64.so.2') && !existsSync('/lib/ld-linux-aarch64.so.1');
  return { libc: musl ? 'musl' : 'glibc' };
}

function glibcVersion(): string | undefined {
  const { report } = process as { report?: NodeJS.ProcessReport & { excludeNetwork?: boolean } };
  if (report === undefined) return undefined;
  // Else the report looks up the names of all network interfaces, which can take seconds.
  const before = report.excludeNetwork;
  report.excludeNetwork = true;
  try {
    const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
    return header?.glibcVersionRuntime;
  } catch {
    return undefined;
  } finally {
    report.excludeNetwork = before ?? false;
  }
}
