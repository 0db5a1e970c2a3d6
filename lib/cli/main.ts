#!/usr/bin/env node
/** The entry of the command line, which runs with nothing but the library: the packages of the commands are installed with @evenkeel/cli alone. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { outliveOutput } from './output';
import { runWithout } from './without-packages';

const packages = ['commander', 'cli-progress'];

function isThere(name: string): boolean {
  try {
    require.resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** Where a package manager keeps packages apart, those of the commands are beside @evenkeel/cli, which the project has. */
function ofProject(): string | undefined {
  try {
    return createRequire(join(process.cwd(), 'package.json')).resolve('@evenkeel/cli');
  } catch {
    return undefined;
  }
}

const companion = packages.every(isThere) ? undefined : ofProject();
if (packages.every(isThere)) {
  outliveOutput();
  void (require('./program') as typeof import('./program')).main();
} else if (companion !== undefined) {
  require(companion);
} else {
  outliveOutput();
  process.exitCode = runWithout(process.argv.slice(2));
}
