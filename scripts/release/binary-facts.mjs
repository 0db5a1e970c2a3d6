// What a Linux binary asks of a machine, and how it is hardened, as objdump and readelf tell.
import { execFileSync } from 'node:child_process';

/** glibc: the highest version of a symbol, such as [2, 17]; undefined where it asks for none. */
export function binaryFacts(file) {
  const symbols = tell('objdump', ['-T', file]);
  const headers = tell('readelf', ['-lWd', file]);
  const versions = [...symbols.matchAll(/GLIBC_(\d+)\.(\d+)/g)].map(([, major, minor]) => [Number(major), Number(minor)]);
  versions.sort((a, b) => b[0] - a[0] || b[1] - a[1]);
  return {
    glibc: versions[0],
    needed: [...headers.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name),
    exported: [...symbols.matchAll(/^[0-9a-f]+ g.{5}[FO] \.\w+\s+[0-9a-f]+\s+(?:\S+\s+)?(\w+)$/gm)].map(([, name]) => name),
    hardening: {
      'relocations read-only': headers.includes('GNU_RELRO'),
      'bound at once': /BIND_NOW|FLAGS.*NOW/.test(headers),
      'stack not executable': /GNU_STACK\s.*\sRW\s/.test(headers),
      'no search path': !/\((RPATH|RUNPATH)\)/.test(headers),
      'stays loaded': /NODELETE/.test(headers),
    },
  };
}

function tell(command, args) {
  return execFileSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 26 });
}
