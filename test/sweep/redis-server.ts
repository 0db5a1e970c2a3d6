/** A real redis-server for the tests, on a free port of its own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Why there is none, or undefined. */
export function redisIsMissing(): string | undefined {
  try {
    execFileSync('redis-server', ['--version']);
    return undefined;
  } catch {
    if (process.env.EVENKEEL_REQUIRE_REDIS) throw new Error('redis-server is not installed, and EVENKEEL_REQUIRE_REDIS wants it');
    return 'redis-server is not installed: apt-get install redis-server';
  }
}

export class RedisServer {
  port = 0;
  #child: ChildProcess | undefined;

  /** @param options further options of redis-server; TLS needs `--tls-port PORT` in place of the port, for which `PORT` is put in */
  constructor(
    readonly folder: string,
    readonly options: readonly string[] = [],
  ) {}

  async start(): Promise<void> {
    if (this.port === 0) this.port = await freePort();
    const port = String(this.port);
    const listen = this.options.includes('PORT') ? ['--port', '0'] : ['--port', port];
    const persist = ['--dir', this.folder, '--appendonly', 'yes', '--save', ''];
    const others = this.options.map((option) => (option === 'PORT' ? port : option));
    this.#child = spawn('redis-server', [...listen, '--bind', '127.0.0.1', ...persist, ...others], { stdio: 'ignore' });
    while (!(await answers(this.port))) {
      if (this.#child.exitCode !== null) throw new Error(`redis-server ended with status ${this.#child.exitCode}`);
      await sleep(20);
    }
  }

  async kill(): Promise<void> {
    if (this.#child === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

/** Passes connections on to a port, until it is cut. */
export class Cable {
  port = 0;
  readonly #server: Server;
  readonly #ends = new Set<Socket>();

  constructor(readonly target: () => number) {
    this.#server = createServer((socket) => {
      const other = connect(this.target(), '127.0.0.1');
      for (const [end, far] of [
        [socket, other],
        [other, socket],
      ] as const) {
        this.#ends.add(end);
        end.on('error', () => {});
        end.on('close', () => {
          this.#ends.delete(end);
          far.destroy();
        });
        end.pipe(far);
      }
    });
  }

  async plug(): Promise<void> {
    this.#server.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as { port: number }).port;
  }

  async cut(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const end of this.#ends) end.destroy();
    await closed;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
