/** @type {import('jest').Config} */
module.exports = {
  roots: ['<rootDir>/test', '<rootDir>/lib'],
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        swcrc: false,
        jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
        // ES modules such as @observablehq/plot are loaded by a real `import()`, never by require.
        module: { type: 'commonjs', ignoreDynamic: true },
      },
    ],
  },
  testEnvironment: 'node',
  // Hangs shall end, slow machines and sanitizers shall not: nothing in the suite measures time.
  testTimeout: 300_000,
  maxWorkers: '100%',
};
