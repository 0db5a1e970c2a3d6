/** The stable codes of {@link EvenkeelError}; programs branch on these, people read the message. */
export type ErrorCode =
  /** An array or tensor has another shape or length than needed. */
  | 'ERR_SHAPE'
  /** A tensor's element type is not the one needed. */
  | 'ERR_DTYPE'
  /** An argument or option is unknown, of the wrong type or out of range. */
  | 'ERR_OPTION'
  /** A call came at the wrong time: backward before forward, a detached buffer, a foreign state dict. */
  | 'ERR_STATE'
  /** A loss, gradient or norm is NaN or infinite. */
  | 'ERR_NON_FINITE'
  /** An allocation failed or would not fit. */
  | 'ERR_MEMORY'
  /** A file cannot be read, written or understood. */
  | 'ERR_FILE'
  /** The native addon is missing, does not load, or failed inside. */
  | 'ERR_NATIVE';

/** Every error this library throws on purpose. The message names the argument, what was expected, what came and, where there is one, a hint. */
export class EvenkeelError extends Error {
  override readonly name = 'EvenkeelError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A short, safe description of any value, for error messages. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'undefined') return String(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'symbol') return 'a symbol';
  if (typeof value === 'function') return 'a function';
  return describeObject(value);
}

function describeObject(value: object): string {
  try {
    if (Array.isArray(value)) return `an array of length ${value.length}`;
    if (ArrayBuffer.isView(value)) {
      const kind = Object.prototype.toString.call(value).slice(8, -1);
      return 'length' in value ? `a ${kind} of length ${value.length}` : `a ${kind}`;
    }
    const name = value.constructor?.name;
    return typeof name === 'string' && name !== '' && name !== 'Object' ? `an instance of ${name.slice(0, 40)}` : 'an object';
  } catch {
    // A revoked proxy or a throwing getter must not hide the error that is being reported.
    return 'an object that cannot be inspected';
  }
}

/** Writes a shape as `[32, 50, 10]`. */
export function formatShape(shape: readonly (number | string)[]): string {
  return `[${shape.join(', ')}]`;
}
