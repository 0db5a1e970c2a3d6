/** The connection to the queue. Credentials stay in here: no message and no record has them. */
import type { EventEmitter } from 'node:events';
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { checkString, fail } from '../../check';
import { EvenkeelError } from '../../errors';
import { importOptional } from '../../optional-package';

/** Where a queue is: without credentials, for messages. */
export interface QueueAddress {
  /** such as `redis://host:6379/0` */
  name: string;
  connection: Connection;
}

interface Connection {
  host: string;
  port: number;
  username?: string;
  password?: string;
  db: number;
  tls?: { servername?: string };
  /** Commands wait for a lost connection to come back. */
  maxRetriesPerRequest: null;
}

const hint =
  'Give redis://host:6379, or rediss:// for TLS, as the option or in EVENKEEL_REDIS_URL; characters of a user or password other than letters and digits ' +
  'as in encodeURIComponent.';

/** Takes a URL apart, or that in the environment's EVENKEEL_REDIS_URL. */
export function queueAddress(url: unknown = process.env.EVENKEEL_REDIS_URL): QueueAddress {
  if (url === undefined || url === '') throw new EvenkeelError('ERR_OPTION', `queue: expected a URL, got none. ${hint}`);
  const { protocol, hostname, port, rest, username, password } = parseUrl(checkString('queue', url));
  if (protocol !== 'redis:' && protocol !== 'rediss:') fail('ERR_OPTION', 'queue', 'a URL of redis:// or rediss://', protocol, hint);
  if (hostname === '') fail('ERR_OPTION', 'queue', 'a URL with a host', protocol, hint);
  // Not shown either: a password with a / ? or # in it puts its rest there.
  const database = /^\/?(\d{0,4})$/.exec(rest)?.[1];
  if (database === undefined) {
    throw new EvenkeelError(
      'ERR_OPTION',
      `queue: expected a URL that ends with its host, port or the number of a database, got more. ${hint}`,
    );
  }
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const connection: Connection = {
    host,
    port: Number(port || 6379),
    username: username || undefined,
    password: password || undefined,
    db: Number(database),
    // An address is no server name (RFC 6066); the certificate is held against it all the same.
    tls: protocol === 'rediss:' ? (isIP(host) === 0 ? { servername: host } : {}) : undefined,
    maxRetriesPerRequest: null,
  };
  return { name: `${protocol}//${hostname}:${connection.port}/${connection.db}`, connection };
}

/** `rest`: path, query and fragment. */
function parseUrl(text: string): Record<'protocol' | 'hostname' | 'port' | 'rest' | 'username' | 'password', string> {
  try {
    const { protocol, hostname, port, pathname, search, hash, username, password } = new URL(text);
    const rest = `${pathname}${search}${hash}`;
    return { protocol, hostname, port, rest, username: decodeURIComponent(username), password: decodeURIComponent(password) };
  } catch {
    // Neither quoted nor a cause: it may hold a password.
    throw new EvenkeelError('ERR_OPTION', `queue: expected a URL, got something else, which is not shown. ${hint}`);
  }
}

type Bullmq = typeof import('bullmq', { with: { 'resolution-mode': 'import' }});

export interface QueuePackages {
  bullmq: Bullmq;
  Redis: typeof Redis;
}

/**
 * The packages that speak to Redis: optional peer dependencies, loaded on first use.
 * @throws EvenkeelError ERR_OPTION when they are not installed
 */
export async function loadQueuePackages(): Promise<QueuePackages> {
  try {
    const [bullmq, { Redis }] = await Promise.all([importOptional<Bullmq>('bullmq'), importOptional<typeof import('ioredis')>('ioredis')]);
    return { bullmq, Redis };
  } catch (cause) {
    throw new EvenkeelError(
      'ERR_OPTION',
      'queue: expected the packages bullmq and ioredis to be installed, got neither or one. Install them: npm install bullmq ioredis',
      { cause },
    );
  }
}

/**
 * Connects once, so that a wrong address or password is an error and not an endless wait.
 * @throws EvenkeelError ERR_OPTION with the reason
 */
export async function checkReachable({ Redis }: QueuePackages, { name, connection }: QueueAddress): Promise<void> {
  const client = new Redis({
    ...connection,
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: 10_000,
  });
  let reason = '';
  client.on('error', ({ message }) => {
    reason ||= message;
  });
  try {
    await client.connect();
    await client.ping();
  } catch (cause) {
    const { message } = cause as Error;
    const said = reason || message;
    throw new EvenkeelError('ERR_OPTION', `queue: expected a Redis or Valkey server at ${name}, got: ${said}${mendOf(said, connection)}`);
  } finally {
    // One that has ended would wait two seconds for its end.
    if (client.status !== 'end') client.disconnect();
  }
}

/** What to do about a connection that failed, a full sentence after a space; nothing where the reason says it. */
function mendOf(reason: string, { tls }: Connection): string {
  if (/NOAUTH|WRONGPASS/.test(reason)) return ' Give user and password in the URL: redis://user:password@host, or redis://:password@host.';
  if (/self-signed certificate|local issuer|first certificate/.test(reason)) {
    return '. Of an authority of your own, name the certificate in the environment: NODE_EXTRA_CA_CERTS=ca.pem';
  }
  if (/ETIMEDOUT/.test(reason) && tls) return '. Check host and port; a server without TLS, which does not answer either, takes redis://.';
  if (/ECONNRESET|closed/.test(reason) && !tls) return '. Does the server want TLS? Then give rediss://.';
  if (/ECONNREFUSED|ENOTFOUND|ETIMEDOUT/.test(reason)) return '. Check host and port, and whether the server runs.';
  return '';
}

/** Connections come back by themselves; an error event that nobody hears would end the process. */
export function outliveErrors(...sources: EventEmitter[]): void {
  for (const source of sources) source.on('error', () => {});
}

/** Options for a connection that comes back by itself until the signal is aborted. */
export function lasting({ connection }: QueueAddress, signal: AbortSignal) {
  return { ...connection, retryStrategy: (times: number) => (signal.aborted ? null : Math.min(100 * times, 2000)) };
}

/** Says once when a connection is lost, and once when it is back. */
export function tellOfLoss(client: Redis, { name }: QueueAddress, signal: AbortSignal, notice: (text: string) => void): void {
  let lost = false;
  // Each attempt to connect again that fails is a close too.
  client.on('close', () => {
    if (!lost && !signal.aborted) notice(`the connection to ${name} is lost; waiting for it`);
    lost = true;
  });
  client.on('ready', () => {
    if (lost) notice(`the connection to ${name} is back`);
    lost = false;
  });
}

/** How long farewells may take when the server does not answer. */
export const closingMs = 5000;

/** Waits for work whose failure does not matter, but no longer than this. */
export async function within(milliseconds: number, work: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  await Promise.race([work, sleep(milliseconds, undefined, { signal: timer.signal })]).catch(() => {});
  timer.abort();
}
