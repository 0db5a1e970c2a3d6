import type { ErrorCode } from '../../lib/index';

/** All codes of an EvenkeelError. */
export const ERROR_CODES: readonly ErrorCode[] = [
  'ERR_SHAPE',
  'ERR_DTYPE',
  'ERR_OPTION',
  'ERR_STATE',
  'ERR_NON_FINITE',
  'ERR_MEMORY',
  'ERR_FILE',
  'ERR_NATIVE',
];

/** Matches an EvenkeelError with this code, and this text in its message. */
export function evenkeelError(code: ErrorCode, text = ''): Error {
  return expect.objectContaining({ name: 'EvenkeelError', code, message: expect.stringContaining(text) });
}

/** Fails unless `call` throws an EvenkeelError with this code, and this text in its message. */
export function expectRefused(call: () => unknown, code: ErrorCode, text = ''): void {
  expect(call).toThrow(evenkeelError(code, text));
}

/** Takes a typed array's buffer away, as a transfer to another thread does. */
export function detach({ buffer }: { buffer: ArrayBufferLike }): void {
  structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
}
