// Starts a server, such as `node serves.mjs node_modules/.bin/next start` or `node serves.mjs server.js`, and asks it to train.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const probe = createServer().listen(0, '127.0.0.1');
await once(probe, 'listening');
const port = String(probe.address().port);
probe.close();
const env = { ...process.env, PORT: port, HOSTNAME: '127.0.0.1' };
// A group of its own, so that what the server starts ends with it.
const server = spawn(process.execPath, process.argv.slice(2), { env, stdio: 'inherit', detached: true });
try {
  const answer = await ask(`http://127.0.0.1:${port}/train`);
  if (!answer.startsWith('trained: ')) throw new Error(`expected to be told that it trained, got ${answer.slice(0, 2000)}`);
} finally {
  process.kill(-server.pid, 'SIGKILL');
}

async function ask(url) {
  for (let tries = 0; tries < 240; tries++) {
    if (server.exitCode !== null) throw new Error(`the server ended with ${server.exitCode}`);
    const response = await fetch(url).catch(() => undefined);
    if (response !== undefined) return await response.text();
    await sleep(500);
  }
  throw new Error('the server did not answer within two minutes');
}
