/** The package's version: a constant, since a bundle has no package.json beside it. */
export const version = '0.2.0';
