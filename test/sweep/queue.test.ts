import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { runtimeInfo } from '../../lib/runtime';
import { checkQueued, jobId, outcomeQueue, prefix, trialQueue } from '../../lib/sweep/executors/queue';
import { queueAddress } from '../../lib/sweep/executors/redis';
import { trialsOf } from '../../lib/sweep/grid';
import { readStore } from '../../lib/sweep/store';
import { trialHash } from '../../lib/sweep/trial';
import { runCli, smallCsv, startCli, useFolder } from '../cli/run-cli';
import { evenkeelError } from '../helpers/errors';
import { Cable, RedisServer, redisIsMissing } from './redis-server';

const folder = useFolder();
const file = (name: string) => join(folder.path, name);
const results = (out: string) => readFileSync(file(`${out}/results.csv`), 'utf8');
const journal = (out: string) =>
  existsSync(file(`${out}/trials.jsonl`)) ? readFileSync(file(`${out}/trials.jsonl`), 'utf8').split('\n').length - 1 : 0;

describe('an address', () => {
  test.each([
    ['redis://localhost', 'redis://localhost:6379/0', { host: 'localhost', port: 6379, db: 0 }],
    ['redis://:p%40ss@host:1234/5', 'redis://host:1234/5', { host: 'host', port: 1234, db: 5, password: 'p@ss' }],
    ['rediss://user:secret@host', 'rediss://host:6379/0', { username: 'user', password: 'secret', tls: { servername: 'host' } }],
    ['redis://[::1]:7000', 'redis://[::1]:7000/0', { host: '::1', port: 7000 }],
    // An address is no server name.
    ['rediss://127.0.0.1', 'rediss://127.0.0.1:6379/0', { host: '127.0.0.1', tls: {} }],
  ])('%s', (url, name, connection) => {
    const address = queueAddress(url);
    expect(address).toMatchObject({ name, connection });
    expect(address.connection.tls).toEqual('tls' in connection ? connection.tls : undefined);
  });

  // The last three have a password with a character that ends the host's part of a URL.
  const unreadable = [
    '',
    'secret',
    'http://user:secret@host',
    'redis://:secret@',
    'redis://:secret@host/x',
    'redis://:secret@host:99999',
    7,
  ];
  test.each([
    ...unreadable,
    'redis://:secret%zz@host',
    'redis://user:12/secret@host',
    'redis://user:12?secret@host',
    'redis://user:12#secret@host',
  ])('that is none is refused, and no password shown: %s', (url) => {
    expect(() => queueAddress(url)).toThrow(evenkeelError('ERR_OPTION', 'queue: expected'));
    expect(() => queueAddress(url)).not.toThrow('secret');
  });
});

test('what is not exactly a trial of this version is refused', () => {
  for (const data of [undefined, null, 1, {}, { sweepId: 'x', hash: 'y', trial: {}, limits: {} }]) {
    expect(() => checkQueued(data, '1')).toThrow(evenkeelError('ERR_STATE', 'expected a trial of this version'));
  }
});

const missing = redisIsMissing();
const describeQueue = missing === undefined ? describe : describe.skip;

describeQueue(`a queue on a real redis-server${missing === undefined ? '' : ` (${missing})`}`, () => {
  let redis: RedisServer;
  const running: ReturnType<typeof startCli>[] = [];

  afterEach(async () => {
    for (const { child, outcome } of running.splice(0)) {
      child.kill('SIGKILL');
      await outcome;
    }
    await redis.kill();
  });

  async function startRedis(...options: string[]): Promise<string> {
    redis = new RedisServer(folder.path, options);
    await redis.start();
    return `redis://127.0.0.1:${redis.port}`;
  }

  function startWorker(url: string): ReturnType<typeof startCli> {
    mkdirSync(file('elsewhere'), { recursive: true });
    const worker = startCli(['worker', '--queue', url, '--workers', '1', '--lost-after', '2'], file('elsewhere'));
    running.push(worker);
    return worker;
  }

  const grid = (lengths: string, seeds: string) =>
    folder.write('grid.yaml', `lengths: [${lengths}]\nplacements: [none, output]\nsizes: [{hiddenSize: 8}]\nseeds: [${seeds}]\nsteps: 5\n`);

  test('two workers give the results of a local run, byte for byte, data from a file included', async () => {
    const url = await startRedis();
    folder.write('waves.csv', smallCsv());
    folder.write(
      'grid.yaml',
      'lengths: [5, 20]\ntasks: [reference, {csv: waves.csv}]\nsizes: [{hiddenSize: 8}]\nseeds: [1, 2, 3]\nsteps: 5\n',
    );
    const workers = [startWorker(url), startWorker(url)];
    const queued = await runCli(['sweep', 'grid.yaml', '--out', 'queued', '--queue', url], folder.path);
    expect(queued).toMatchObject({ status: 0, stdout: '12 of 12 trials have a result.\n' });
    expect((await runCli(['sweep', 'grid.yaml', '--out', 'local'], folder.path)).status).toBe(0);
    expect(results('queued')).toBe(results('local'));
    for (const { child, outcome } of workers) {
      child.kill('SIGTERM');
      expect((await outcome).status).toBe(143);
    }
    // The server does not keep them for ever.
    const ask = (...command: string[]) => execFileSync('redis-cli', ['-p', String(redis.port), ...command], { encoding: 'utf8' }).trim();
    const data = ask('keys', '*data*');
    expect(data).toMatch(/^\S+$/);
    expect(Number(ask('ttl', data))).toBeGreaterThan(24 * 3600);
    expect(ask('keys', '*outcomes*')).toBe('');
  });

  test('SIGKILL of a worker, of Redis and of the sweep, and a cut connection, lose no trial and count none twice', async () => {
    await startRedis();
    const cable = new Cable(() => redis.port);
    await cable.plug();
    const url = `redis://127.0.0.1:${cable.port}`;
    grid('5, 50, 500', '1, 2, 3, 4, 5, 6, 7, 8');
    const [first] = [startWorker(url), startWorker(url)];
    const until = async (count: number) => {
      while (journal('queued') < count) await sleep(10);
    };
    const begin = () => startCli(['sweep', 'grid.yaml', '--out', 'queued', '--queue', url], folder.path);

    const killed = begin();
    await until(4);
    first?.child.kill('SIGKILL');
    startWorker(url);
    await until(8);
    await cable.cut();
    await sleep(1000);
    await cable.plug();
    await until(12);
    await redis.kill();
    await sleep(500);
    await redis.start();
    await until(16);
    killed.child.kill('SIGKILL');
    expect(await killed.outcome).toMatchObject({ status: 'SIGKILL', stderr: expect.stringContaining('is lost; waiting for it') });

    expect((await begin().outcome).status).toBe(0);
    await cable.cut();
    expect((await runCli(['sweep', 'grid.yaml', '--out', 'local'], folder.path)).status).toBe(0);
    expect(results('queued')).toBe(results('local'));
    expect(journal('queued')).toBe(48);
  });

  test('Ctrl-C takes back what no worker has begun, and ends where the server is away', async () => {
    const url = await startRedis();
    grid('5', '1, 2');
    const { version } = runtimeInfo();
    const queue = new Queue(trialQueue(version), { connection: { host: '127.0.0.1', port: redis.port }, prefix });
    queue.on('error', () => {});
    const stop = async (before: () => Promise<unknown>) => {
      const { child, outcome } = startCli(['sweep', 'grid.yaml', '--out', 'queued', '--queue', url], folder.path);
      child.stderr.on('data', () => {});
      while ((await queue.getWaitingCount()) < 4) await sleep(20);
      await before();
      child.kill('SIGINT');
      expect((await outcome).status).toBe(130);
    };
    await stop(async () => {});
    expect(await queue.getWaitingCount()).toBe(0);
    await stop(async () => {
      await queue.close();
      await redis.kill();
    });
  });

  test('a worker outlives a forged trial', async () => {
    const url = await startRedis();
    grid('5', '1');
    const { version } = runtimeInfo();
    const queue = new Queue(trialQueue(version), { connection: { host: '127.0.0.1', port: redis.port }, prefix });
    const forged = { sweepId: '../../etc', hash: 'x', trial: { task: { name: 'csv', sha256: '../../etc/passwd' } }, limits: {} };
    await queue.add('trial', forged, { jobId: jobId('x', 'y') });
    startWorker(url);
    const { status } = await runCli(['sweep', 'grid.yaml', '--out', 'queued', '--queue', url], folder.path);
    await queue.close();
    expect(status).toBe(0);
    expect(readdirSync(file('elsewhere'))).toEqual([]);
  });

  test('a sweep refuses a forged outcome, says so, and waits for the real one', async () => {
    const url = await startRedis();
    grid('5', '1');
    const { child, outcome } = startCli(['sweep', 'grid.yaml', '--out', 'queued', '--queue', url], folder.path);
    running.push({ child, outcome });
    while (!existsSync(file('queued/definition.json'))) await sleep(20);
    const definition = JSON.parse(readFileSync(file('queued/definition.json'), 'utf8'));
    const hashes = [...trialsOf(definition.grid)].map((trial) => trialHash(trial, definition.version));
    const queue = new Queue(outcomeQueue(definition.sweepId), { connection: { host: '127.0.0.1', port: redis.port }, prefix });
    const done = { status: 'done', attempts: 1, measures: { growthRate: '=1' }, cost: {}, cpuKind: {} };
    for (const forged of [{}, 'x', { hash: hashes[0], outcome: done }, { hash: hashes[1], outcome: { status: 'failed', reason: 7 } }]) {
      await queue.add('outcome', forged);
    }
    while ((await queue.getJobCountByTypes('waiting', 'active')) > 0) await sleep(20);
    expect(journal('queued')).toBe(0);
    startWorker(url);
    const { status, stderr } = await outcome;
    await queue.close();
    expect(status).toBe(0);
    expect(stderr.split('sweep: the queue: expected the outcome of a trial, got something else.')).toHaveLength(5);
    expect(readStore(file('queued')).records.size).toBe(2);
  });

  test('a password opens the server and is shown nowhere; a wrong one and a wrong address are errors', async () => {
    const password = 'correct-horse-7531';
    const plain = await startRedis('--requirepass', password);
    const url = plain.replace('//', `//:${password}@`);
    grid('5', '1');
    const worker = startWorker(url);
    const good = await runCli(['sweep', 'grid.yaml', '--out', 'queued', '--queue', url], folder.path);
    expect(good.status).toBe(0);
    const bad = await runCli(['sweep', 'grid.yaml', '--out', 'other', '--queue', plain.replace('//', '//:wrong-7531@')], folder.path);
    expect(bad).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`expected a Redis or Valkey server at ${plain}/0, got: WRONGPASS`),
    });
    await redis.kill();
    const away = await runCli(['sweep', 'grid.yaml', '--out', 'other', '--queue', url], folder.path);
    expect(away).toMatchObject({ status: 1, stderr: expect.stringContaining('ECONNREFUSED') });
    worker.child.kill('SIGTERM');
    const said = [good, bad, away, await worker.outcome].flatMap(({ stdout, stderr }) => [stdout, stderr]);
    const written = readdirSync(file('queued')).map((name) => readFileSync(file(`queued/${name}`), 'utf8'));
    expect([...said, ...written].join('')).not.toMatch(/7531/);
  });

  test('rediss:// speaks TLS, and the URL may come from the environment', async () => {
    const names = [
      '-keyout',
      file('key.pem'),
      '-out',
      file('cert.pem'),
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=DNS:localhost',
    ];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', ...names], { stdio: 'ignore' });
    const tls = ['--tls-cert-file', file('cert.pem'), '--tls-key-file', file('key.pem'), '--tls-auth-clients', 'no'];
    await startRedis('--tls-port', 'PORT', ...tls);
    const env = { EVENKEEL_REDIS_URL: `rediss://localhost:${redis.port}`, NODE_EXTRA_CA_CERTS: file('cert.pem') };
    grid('5', '1');
    running.push(startCli(['worker', '--workers', '1'], folder.path, env));
    const { status, stdout } = await startCli(['sweep', 'grid.yaml', '--out', 'queued', '--queue'], folder.path, env).outcome;
    expect({ status, stdout }).toEqual({ status: 0, stdout: '2 of 2 trials have a result.\n' });
    // Without the authority that signed it, the certificate is not trusted.
    const refused = await startCli(['sweep', 'grid.yaml', '--out', 'other', '--queue', env.EVENKEEL_REDIS_URL], folder.path).outcome;
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining('self-signed certificate') });
  });
});
