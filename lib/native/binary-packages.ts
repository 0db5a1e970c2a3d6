/** The packages that hold the addon's binary, one for each platform; npm installs the one that fits, as an optional dependency of evenkeel. */

const platforms = ['linux-x64', 'linux-x64-musl', 'linux-arm64', 'win32-x64', 'darwin-arm64', 'darwin-x64'] as const;

export type BinaryPlatform = (typeof platforms)[number];

/** The platforms for which there is such a package. */
export const binaryPlatforms: readonly BinaryPlatform[] = platforms;

export function isBinaryPlatform(name: string): name is BinaryPlatform {
  return (platforms as readonly string[]).includes(name);
}

/** What a package gave, or why it gave nothing. */
export type Attempt = { exports: unknown } | { cause: unknown };

/**
 * Loads a platform's package. Each name is literal, so that bundlers and file tracers see it, and within a `try`, so that they bear with those
 * that are for other platforms and not there.
 */
export function requireBinary(platform: BinaryPlatform): Attempt {
  try {
    switch (platform) {
      case 'linux-x64':
        return { exports: require('@evenkeel/linux-x64') };
      case 'linux-x64-musl':
        return { exports: require('@evenkeel/linux-x64-musl') };
      case 'linux-arm64':
        return { exports: require('@evenkeel/linux-arm64') };
      case 'win32-x64':
        return { exports: require('@evenkeel/win32-x64') };
      case 'darwin-arm64':
        return { exports: require('@evenkeel/darwin-arm64') };
      case 'darwin-x64':
        return { exports: require('@evenkeel/darwin-x64') };
    }
  } catch (cause) {
    return { cause };
  }
}
