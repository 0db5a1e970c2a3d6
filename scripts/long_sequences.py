"""One training step on a long sequence in PyTorch or JAX, for long-sequences.mjs: the job as JSON in, its time and memory as JSON out."""

import json
import re
import statistics
import sys
import time


def memory(key):
    with open("/proc/self/status") as status:
        return int(re.search(rf"^{key}:\s*(\d+) kB", status.read(), re.M)[1]) * 1024


def torch_step(job):
    import torch

    torch.manual_seed(1)
    rnn = torch.nn.RNN(job["inputSize"], job["hiddenSize"], batch_first=True)
    optimizer = torch.optim.Adam(rnn.parameters(), fused=True)
    target = torch.randn(job["sequences"], job["hiddenSize"])

    def step(x):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(rnn(x)[1][0], target).backward()
        torch.nn.utils.clip_grad_norm_(rnn.parameters(), 1.0)
        optimizer.step()

    return step, lambda steps: torch.randn(job["sequences"], steps, job["inputSize"]), torch.__version__


def jax_step(job):
    import os

    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    import jax.numpy as jnp
    import numpy as np

    sequences, inputs, hidden = job["sequences"], job["inputSize"], job["hiddenSize"]
    generator = np.random.default_rng(1)
    bound = 1 / hidden**0.5
    shapes = [(hidden, inputs), (hidden, hidden), (hidden,), (hidden,)]
    parameters = [generator.uniform(-bound, bound, shape).astype(np.float32) for shape in shapes]
    target = generator.standard_normal((sequences, hidden)).astype(np.float32)
    state = [parameters, [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters], np.int32(0)]

    def last_state(parameters, x):
        weight_ih, weight_hh, bias_ih, bias_hh = parameters

        def run(state, steps):
            projected = steps @ weight_ih.T + (bias_ih + bias_hh)
            return jax.lax.scan(lambda state, p: (jnp.tanh(p + state @ weight_hh.T), None), state, projected)[0]

        start = jnp.zeros((sequences, hidden), jnp.float32)
        if job["way"] != "checkpointing":
            return run(start, x)
        # Segments of about the square root of T steps.
        segment = max(1, round(len(x) ** 0.5))
        while len(x) % segment:
            segment -= 1
        segments = x.reshape(-1, segment, *x.shape[1:])
        return jax.lax.scan(lambda state, steps: (jax.checkpoint(run)(state, steps), None), start, segments)[0]

    def train(parameters, means, squares, count, x):
        gradients = jax.grad(lambda p: jnp.mean((last_state(p, x) - target) ** 2))(parameters)
        norm = jnp.sqrt(sum(jnp.sum(g * g) for g in gradients))
        gradients = [g * jnp.minimum(1.0, 1.0 / (norm + 1e-6)) for g in gradients]
        count = count + 1
        means = [0.9 * m + 0.1 * g for m, g in zip(means, gradients)]
        squares = [0.999 * v + 0.001 * g * g for v, g in zip(squares, gradients)]
        rate = 1e-3 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        return [p - rate * m / (jnp.sqrt(v) + 1e-8) for p, m, v in zip(parameters, means, squares)], means, squares, count

    compiled = {}

    def step(x):
        state[:] = jax.block_until_ready(compiled[len(x)](*state, x))

    # Compiled before it is timed.
    def draw(steps):
        x = generator.standard_normal((steps, sequences, inputs)).astype(np.float32)
        compiled[steps] = jax.jit(train).lower(*state, x).compile()
        return x

    return step, draw, jax.__version__


def main():
    job = json.loads(sys.argv[1])
    step, draw, version = {"torch": torch_step, "jax": jax_step}[job["system"]](job)
    step(draw(100))
    x = draw(job["steps"])
    base = memory("VmRSS")
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")
    seconds = []
    for _ in range(job["rounds"]):
        begin = time.perf_counter()
        step(x)
        seconds.append(time.perf_counter() - begin)
        # A step of a minute is told well enough by itself.
        if sum(seconds) > 5:
            break
    times = {"seconds": statistics.median(seconds), "least": min(seconds), "most": max(seconds), "rounds": len(seconds)}
    print(json.dumps({**times, "baseBytes": base, "peakBytes": memory("VmHWM"), "version": version}))


main()
