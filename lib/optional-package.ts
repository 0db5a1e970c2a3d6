/**
 * Loads a package that few users need, an optional peer dependency, where it is first used. Bundlers leave it alone: they find no name to follow,
 * and are told not to look for one.
 */
export async function importOptional<Module>(name: string): Promise<Module> {
  return import(/* webpackIgnore: true */ /* @vite-ignore */ name);
}
