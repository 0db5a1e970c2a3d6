import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { loadRival, RIVALS, rivalVersion } from '../../lib/bench/drivers/rival-module';
import { converse, type Start, type Started, timeOnce } from '../../lib/bench/drivers/serve';
import type { StartMessage } from '../../lib/bench/protocol';

const root = join(__dirname, '../..');
const start: StartMessage = {
  trial: { id: 'train 2,3,2,4', work: 'train', n: 2, t: 3, i: 2, h: 4, quick: true, why: 'small' },
  threads: 1,
  tier: 'manual',
  dataFile: 'none.safetensors',
};
const numbers = { loss: 1, norm: 2 };
const loaded: Omit<Started, 'runOnce'> = { system: 'fake', baseBytes: 4, measure: () => numbers };
const ready = { ready: true, system: 'fake', baseBytes: 4 };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** The answers of a driver to lines, which are given as JSON unless they are text. */
async function answers(driver: Start, ...messages: unknown[]): Promise<unknown[]> {
  let text = '';
  const output = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  const lines = messages.map((message) => `${typeof message === 'string' ? message : JSON.stringify(message)}\n`);
  await converse(driver, Readable.from(lines), output);
  return parseLines(text);
}

function parseLines(text: string): unknown[] {
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
}

describe('a JavaScript driver', () => {
  test('answers the first line with its start, and further ones with times and numbers', async () => {
    const messages: StartMessage[] = [];
    const driver: Start = async (message) => {
      messages.push(message);
      return { ...loaded, runOnce: () => 7 };
    };
    const times = { timesMs: [7], peakBytes: expect.any(Number) };
    expect(await answers(driver, start, { runMs: 0 }, { measure: true }, { runMs: 0 })).toEqual([ready, times, numbers, times]);
    expect(messages).toEqual([start]);
  });

  test('repeats the work until the time has passed', async () => {
    // Each look at the clock takes 10 ms: a call takes 10 ms and is followed by another look.
    let now = 0;
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => (now += 10));
    const runOnce = jest.fn();
    try {
      const [, times] = await answers(async () => ({ ...loaded, runOnce }), start, { runMs: 65 });
      expect(times).toMatchObject({ timesMs: [10, 10, 10] });
      expect(runOnce).toHaveBeenCalledTimes(3);
    } finally {
      clock.mockRestore();
    }
  });

  test('waits for work that is asynchronous', async () => {
    const events: string[] = [];
    await timeOnce({
      async runOnce() {
        await new Promise(setImmediate);
        events.push('work');
      },
    });
    events.push('timed');
    expect(events).toEqual(['work', 'timed']);
  });

  test('counts the time that the work measured itself, zero too', async () => {
    expect(await timeOnce({ runOnce: () => 0 })).toBe(0);
    expect(await timeOnce({ runOnce: async () => 1e9 })).toBe(1e9);
  });

  test('reports the peak of its memory in bytes', async () => {
    const [, times] = await answers(async () => ({ ...loaded, runOnce: () => 1 }), start, { runMs: 0 });
    const { peakBytes } = times as { peakBytes: number };
    expect(peakBytes).toBeGreaterThan(2 ** 24);
    expect(peakBytes).toBeLessThan(2 ** 40);
  });

  test('answers with what went wrong, and then ends', async () => {
    const broken: Start = async () => {
      throw new RangeError('too deep');
    };
    expect(await answers(broken, start, { runMs: 0 })).toEqual([{ error: 'too deep' }]);
    const breaking: Start = async () => ({ ...loaded, runOnce: () => Promise.reject('no memory') });
    expect(await answers(breaking, start, { runMs: 0 }, { runMs: 0 })).toEqual([ready, { error: 'no memory' }]);
    expect(await answers(broken, '{')).toEqual([{ error: expect.stringContaining('JSON') }]);
    const working: Start = async () => ({ ...loaded, runOnce: () => 1 });
    const notUnderstood = { error: expect.stringMatching(/^a message that is not understood: \{/) };
    expect(await answers(working, { runMs: 0 })).toEqual([notUnderstood]);
    expect(await answers(working, start, { runMs: 'long' })).toEqual([ready, notUnderstood]);
  });
});

describe('a rival', () => {
  const usual = process.env.EVENKEEL_RIVALS;
  afterEach(() => {
    if (usual === undefined) delete process.env.EVENKEEL_RIVALS;
    else process.env.EVENKEEL_RIVALS = usual;
  });

  test('is pinned to one version in the bench folder', () => {
    const { dependencies, optionalDependencies } = JSON.parse(readFileSync(join(root, 'bench/package.json'), 'utf8'));
    expect({ ...dependencies, ...optionalDependencies }).toEqual(RIVALS);
  });

  test('comes from the first folder that has it', () => {
    const [empty, first, second] = ['empty', 'first', 'second'].map((name) => join(folder, name)) as [string, string, string];
    writeRival(first, 'exports.name = "first";', '1.2.3');
    writeRival(second, 'exports.name = "second";', '4.5.6');
    process.env.EVENKEEL_RIVALS = [empty, first, second].join(delimiter);
    expect(loadRival('@jax-js/jax')).toEqual({ name: 'first' });
    expect(rivalVersion('@jax-js/jax')).toBe('1.2.3');
  });

  test.each([
    ['TF.js cpu', ['tfjs.js', 'cpu'], '@tensorflow/tfjs', '4.22.0'],
    ['TF.js wasm', ['tfjs.js', 'wasm'], '@tensorflow/tfjs', '4.22.0'],
    ['TF.js node', ['tfjs.js', 'node'], '@tensorflow/tfjs-node', '4.22.0'],
    ['jax-js', ['jax-js.js'], '@jax-js/jax', '0.1.25'],
  ])('%s that is missing is named, with the command that installs it', async (_, args, name, version) => {
    const missing = join(folder, 'missing');
    const { messages, status } = await runDriver(args, [missing, folder]);
    expect(messages).toEqual([{ error: `${name} is not installed in ${missing} or ${folder}.`, install: expect.any(String) }]);
    const install = (messages[0] as { install: string }).install;
    expect(install).toMatch(/^npm install --prefix \S+ \S+$/);
    // A folder that is there, so that a command run as it stands does not make a new one.
    expect(install).toBe(`npm install --prefix . ${name}@${version}`);
    expect(status).toBe(0);
  });

  test('that greets on standard output and then fails to load leaves the protocol clean', async () => {
    writeRival(folder, 'console.log("Welcome"); console.info("Hello"); throw new Error("no such instruction");', '1.2.3');
    const { messages, stderr } = await runDriver(['jax-js.js'], [folder]);
    expect(messages).toEqual([{ error: 'no such instruction' }]);
    expect(stderr).toBe('Welcome\nHello\n');
  });

  test('is asked for a backend and a tier that it has', async () => {
    const wrong = await runDriver(['tfjs.js', 'webgl'], [folder]);
    expect(wrong.messages).toEqual([{ error: expect.stringContaining('backend: expected one of "cpu", "wasm", "node"') }]);
    const { messages } = await runDriver(['tfjs.js', 'cpu'], [folder], { ...start, tier: 'manul' });
    expect(messages).toEqual([{ error: expect.stringContaining('Did you mean "manual"?') }]);
  });
});

function writeRival(rivals: string, source: string, version: string): void {
  const home = join(rivals, 'node_modules/@jax-js/jax');
  mkdirSync(join(home, 'dist'), { recursive: true });
  writeFileSync(join(home, 'package.json'), JSON.stringify({ name: '@jax-js/jax', version, main: 'dist/index.js' }));
  writeFileSync(join(home, 'dist/index.js'), source);
}

/** What a compiled driver answers to its first line, run in the temporary folder. */
async function runDriver(
  [file = '', ...args]: readonly string[],
  rivals: readonly string[],
  message = start,
): Promise<{ messages: unknown[]; stderr: string; status: number | null }> {
  const path = join(root, 'dist/bench/drivers', file);
  if (!existsSync(path)) throw new Error(`${path} is missing: compile with npx tsc`);
  const child = spawn(process.execPath, [path, ...args], {
    cwd: folder,
    env: { ...process.env, EVENKEEL_RIVALS: rivals.join(delimiter) },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  // The input stays open: a driver that has failed ends by itself.
  child.stdin.write(`${JSON.stringify(message)}\n`);
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { messages: parseLines(stdout), stderr, status };
}
