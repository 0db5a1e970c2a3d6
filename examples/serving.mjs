// A model that answers over HTTP while a worker thread goes on training it. After each epoch the server takes the new weights over, between two requests:
// nobody waits for that. Each client has a stream of its own, whose state the server keeps.
//
//   --port 8080   0 for any    --seconds 10   ends by itself; never unless given    --no-training   serves the first weights only
//
//   curl localhost:8080/step -d '{"client": "a", "x": [0.1, 0.2]}'     the next step of client a's sequence
//   curl localhost:8080/status                                         weights taken over, event-loop delay
import { createServer } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { Adam, addingProblem, fit, Generator, Linear, LSTM, mseLoss, Predictor, Sequential, setNumThreads, Tensor } from 'evenkeel';

const model = new Sequential({
  lstm: new LSTM({ inputSize: 2, hiddenSize: 128, generator: new Generator(1) }),
  head: new Linear({ inputSize: 128, outputSize: 1, generator: new Generator(2) }),
});
// A step of one sequence is done before another thread has heard of it.
setNumThreads(1);
if (isMainThread) serve();
else await train();

/** Learns to say, at every step, the sum of the marked numbers so far; posts its weights after each epoch. */
async function train() {
  const generator = new Generator(3);
  const optimizer = new Adam(model.parameters(), { learningRate: 0.002 });
  for (;;) {
    const { batches } = sums(generator);
    await fit(model, batches, { loss: mseLoss, optimizer, clip: { maxNorm: 1 } });
    parentPort.postMessage(new Predictor(model).share());
  }
}

function sums(generator) {
  const batches = [...addingProblem({ batchSize: 32, sequenceLength: 40, batches: 20, generator })].map(({ input }) => {
    const target = Tensor.zeros([32, 40, 1]);
    for (let row = 0; row < 32; row++) {
      for (let t = 0, sum = 0; t < 40; t++) {
        const at = 2 * (row * 40 + t);
        sum += input.data[at] * input.data[at + 1];
        target.data[row * 40 + t] = sum;
      }
    }
    return { input, target };
  });
  return { batches };
}

function serve() {
  const { port, seconds, 'no-training': isStill } = readOptions();
  const predictor = new Predictor(model);
  const streams = new Map();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  let taken = 0;
  const worker = isStill ? undefined : new Worker(new URL(import.meta.url));
  worker?.on('message', (handle) => {
    predictor.update(handle);
    taken++;
  });

  const step = ({ client, x }) => {
    if (typeof client !== 'string' || !Array.isArray(x)) throw new TypeError('expected {"client": a text, "x": [two numbers]}');
    if (!streams.has(client)) streams.set(client, predictor.stream());
    const y = streams.get(client).step(Tensor.from(x));
    return { y: y.toArray()[0], weights: taken };
  };
  const status = () => {
    const { mean, max } = delay;
    const [p50, p99] = [delay.percentile(50), delay.percentile(99)];
    delay.reset();
    return {
      weights: taken,
      clients: streams.size,
      eventLoopDelayMs: { mean: mean / 1e6, p50: p50 / 1e6, p99: p99 / 1e6, max: max / 1e6 },
    };
  };
  const server = createServer(async (request, response) => {
    try {
      const answer = request.url === '/step' ? step(await readJson(request)) : status();
      response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
    } catch (error) {
      response.writeHead(400).end(JSON.stringify({ error: error.message }));
    }
  });
  server.listen(port, () => {
    delay.enable();
    console.log(`http://localhost:${server.address().port}`);
  });
  if (seconds === undefined) return;
  setTimeout(async () => {
    await worker?.terminate();
    server.close();
    server.closeAllConnections();
    console.log(`took new weights over ${taken} times`);
  }, 1000 * seconds);
}

/** At most 64 KiB. */
async function readJson(request) {
  let text = '';
  for await (const piece of request.setEncoding('utf8')) {
    text += piece;
    if (text.length > 65_536) throw new RangeError('expected at most 64 KiB');
  }
  return JSON.parse(text);
}

function readOptions() {
  const { values } = parseArgs({
    options: { port: { type: 'string', default: '8080' }, seconds: { type: 'string' }, 'no-training': { type: 'boolean', default: false } },
  });
  return { ...values, port: Number(values.port), seconds: values.seconds === undefined ? undefined : Number(values.seconds) };
}
