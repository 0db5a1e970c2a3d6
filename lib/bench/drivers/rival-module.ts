import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join, relative, resolve } from 'node:path';

/** The rivals on npm in the versions that the bench folder's package.json pins, so that two machines measure the same. */
export const RIVALS = {
  '@tensorflow/tfjs': '4.22.0',
  '@tensorflow/tfjs-backend-wasm': '4.22.0',
  '@tensorflow/tfjs-node': '4.22.0',
  '@jax-js/jax': '0.1.25',
} as const;

export type Rival = keyof typeof RIVALS;

/** A rival is not installed: every rival is optional. */
export class MissingRivalError extends Error {
  constructor(
    rival: Rival,
    folders: readonly string[],
    /** the command that installs it */
    readonly install: string,
  ) {
    super(`${rival} is not installed in ${folders.join(' or ')}.`);
  }
}

/**
 * Loads a rival from the first folder that has it installed. The folders are listed in the environment's `EVENKEEL_RIVALS`, as in `PATH`;
 * the default is the current one.
 * @returns the module, whose version need not be the pinned one
 * @throws MissingRivalError when no folder has it; whatever the module throws when it is there but does not load
 */
export function loadRival(rival: Rival): unknown {
  const { require, path } = findRival(rival);
  return require(path);
}

/** The installed version of a rival. */
export function rivalVersion(rival: Rival): string {
  const { path } = findRival(rival);
  const end = path.lastIndexOf(join('node_modules', rival)) + join('node_modules', rival).length;
  return createRequire(path)(join(path.slice(0, end), 'package.json')).version as string;
}

function findRival(rival: Rival): { require: NodeJS.Require; path: string } {
  const folders = (process.env.EVENKEEL_RIVALS || '.').split(delimiter).map((folder) => resolve(folder));
  for (const folder of folders) {
    const require = createRequire(join(folder, 'package.json'));
    try {
      return { require, path: require.resolve(rival) };
    } catch {
      // Perhaps the next folder has it.
    }
  }
  throw new MissingRivalError(rival, folders, installCommand(rival, folders));
}

/** Installs into the first folder that exists: one that the user names need not. */
function installCommand(rival: Rival, folders: readonly string[]): string {
  const folder = relative('', folders.find((path) => existsSync(path)) ?? '') || '.';
  return `npm install --prefix ${/[^\w./-]/.test(folder) ? JSON.stringify(folder) : folder} ${rival}@${RIVALS[rival]}`;
}
