/** The connection to the queue. Credentials stay in here: no message and no record has them. */
import type { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { checkString, fail } from '../../check';
import { EvenkeelError } from '../../errors';

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
  tls?: { servername: string };
  /** Commands wait for a lost connection to come back. */
  maxRetriesPerRequest: null;
}

const mend = 'Give redis://host:6379, or rediss:// for TLS, as the option or in EVENKEEL_REDIS_URL.';

/** Takes a URL apart, or that in the environment's EVENKEEL_REDIS_URL. */
export function queueAddress(url: unknown = process.env.EVENKEEL_REDIS_URL): QueueAddress {
  const text = checkString('queue', url ?? '');
  // Not quoted in the error: it may hold a password.
  if (!URL.canParse(text)) fail('ERR_OPTION', 'queue', 'a URL', undefined, mend);
  const { protocol, hostname, port, username, password, pathname } = new URL(text);
  if (protocol !== 'redis:' && protocol !== 'rediss:') fail('ERR_OPTION', 'queue', 'a URL of redis:// or rediss://', protocol, mend);
  if (hostname === '') fail('ERR_OPTION', 'queue', 'a URL with a host', protocol, mend);
  const database = /^\/?(\d{0,4})$/.exec(pathname)?.[1];
  if (database === undefined) fail('ERR_OPTION', 'queue', 'the number of a database as the path of the URL', pathname, mend);
  const connection: Connection = {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: Number(port || 6379),
    username: decodeURIComponent(username) || undefined,
    password: decodeURIComponent(password) || undefined,
    db: Number(database),
    tls: protocol === 'rediss:' ? { servername: hostname } : undefined,
    maxRetriesPerRequest: null,
  };
  return { name: `${protocol}//${hostname}:${connection.port}/${connection.db}`, connection };
}

export interface QueuePackages {
  bullmq: typeof import('bullmq', { with: { 'resolution-mode': 'import' }});
  Redis: typeof Redis;
}

/**
 * The packages that speak to Redis, which few users need and none gets unasked.
 * @throws EvenkeelError ERR_OPTION when they are not installed
 */
export async function loadQueuePackages(): Promise<QueuePackages> {
  try {
    const [bullmq, { Redis }] = await Promise.all([import('bullmq'), import('ioredis')]);
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
    throw new EvenkeelError('ERR_OPTION', `queue: expected a Redis or Valkey server at ${name}, got: ${reason || message}`);
  } finally {
    client.disconnect();
  }
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
