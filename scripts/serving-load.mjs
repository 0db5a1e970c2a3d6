// How fast examples/serving.mjs answers: p50 and p99 of its answers, and its event loop's delay, with and without a worker that trains meanwhile.
//   node scripts/serving-load.mjs    --seconds 10  --clients 1000  --connections 8
// The clients take turns on a few connections that stay open; each has a sequence of its own, of which it asks for the next step.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { say } from './steps.mjs';

const text = (value) => ({ type: 'string', default: value });
const { values } = parseArgs({ options: { seconds: text('10'), clients: text('1000'), connections: text('8') } });
const [seconds, clients, connections] = [values.seconds, values.clients, values.connections].map(Number);

say(`${clients} clients on ${connections} connections, ${seconds} s each\n`);
for (const isTraining of [false, true]) {
  const { latencies, status } = await measure(isTraining);
  const { p50, p99, max } = status.eventLoopDelayMs;
  say(
    `${isTraining ? 'while a worker trains' : 'without training'}: ${Math.round(latencies.length / seconds)} answers/s, p50 ${ms(quantile(latencies, 0.5))}, ` +
      `p99 ${ms(quantile(latencies, 0.99))}, longest ${ms(latencies.at(-1))}; event-loop delay p50 ${ms(p50)}, p99 ${ms(p99)}, longest ${ms(max)}; ` +
      `new weights ${status.weights} times\n`,
  );
}

async function measure(isTraining) {
  const example = fileURLToPath(new URL('../examples/serving.mjs', import.meta.url));
  const server = spawn(process.execPath, [example, '--port', '0', ...(isTraining ? [] : ['--no-training'])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [url] = await once(createInterface({ input: server.stdout }), 'line');
    const agent = new Agent({ keepAlive: true, maxSockets: connections });
    const latencies = [];
    let client = 0;
    const ask = async (end, list) => {
      while (performance.now() < end) {
        const begin = performance.now();
        await post(`${url}/step`, agent, { client: String(client++ % clients), x: [Math.random(), 0] });
        list?.push(performance.now() - begin);
      }
    };
    const all = (duration, list) => {
      const end = performance.now() + duration;
      return Promise.all(Array.from({ length: connections }, () => ask(end, list)));
    };
    await all(1500);
    await post(`${url}/status`, agent, {});
    await all(1000 * seconds, latencies);
    const status = await post(`${url}/status`, agent, {});
    agent.destroy();
    return { latencies: latencies.sort((a, b) => a - b), status };
  } finally {
    server.kill();
  }
}

function post(url, agent, body) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', agent }, (response) => {
      let answer = '';
      response.setEncoding('utf8').on('data', (piece) => {
        answer += piece;
      });
      response.on('end', () => (response.statusCode === 200 ? resolve(JSON.parse(answer)) : reject(new Error(answer))));
    });
    sent.on('error', reject).end(JSON.stringify(body));
  });
}

function quantile(sorted, q) {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}

function ms(milliseconds) {
  return `${milliseconds.toFixed(2)} ms`;
}
