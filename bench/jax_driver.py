"""JAX on the CPU: everything under jit, the steps of the RNN in lax.scan. The lines it answers: ../lib/bench/protocol.ts."""

import os

from driver_common import gated_task, import_or_answer, mean_square, norm_of, receive, serve

message = receive()
# XLA sizes its thread pool by this; its own flag leaves other work on all threads. Both must be set before jax is imported.
os.environ["NPROC"] = str(message["threads"])
os.environ["JAX_PLATFORMS"] = "cpu"
jax = import_or_answer("jax")
import jax.numpy as jnp
import numpy as np


def scan(step, projected):
    """The states after each step, [T, N, H]. One product for the inputs of all steps has been made; only the recurrence is in the scan."""

    def both(state, projected_step):
        state = step(projected_step, state)
        return state, state

    return jax.lax.scan(both, jnp.zeros_like(projected[0]), projected)[1]


def layer_norm(parameters, x, name="ln"):
    centered = x - x.mean(-1, keepdims=True)
    rstd = jax.lax.rsqrt(jnp.square(centered).mean(-1, keepdims=True) + 1e-5)
    return centered * rstd * parameters[f"{name}.weight"] + parameters.get(f"{name}.bias", 0)


def rnn(parameters, x):
    """x: [T, N, I] -> [T, N, H]."""
    weight_hh = parameters["rnn.weight_hh_l0"].T
    projected = x @ parameters["rnn.weight_ih_l0"].T + (parameters["rnn.bias_ih_l0"] + parameters["rnn.bias_hh_l0"])
    return scan(lambda step, state: jnp.tanh(step + state @ weight_hh), projected)


def model(parameters, x):
    """An RNN and a LayerNorm over its outputs. x: [T, N, I] -> [T, N, H]."""
    return layer_norm(parameters, rnn(parameters, x))


def normalised_rnn(placement):
    """A LayerNorm within the recurrence; ../lib/bench/protocol.ts gives the equations."""

    def run(parameters, x):
        weight_hh, bias = parameters["rnn.weight_hh_l0"].T, parameters["rnn.bias_ih_l0"] + parameters["rnn.bias_hh_l0"]

        def norm(rows, name="norm"):
            return layer_norm(parameters, rows, f"rnn.{name}")

        step = {
            "preactivation": lambda projected, state: jnp.tanh(norm(projected + state @ weight_hh)),
            "split-preactivation": lambda projected, state: jnp.tanh(projected + norm(state @ weight_hh, "norm_hh")),
            "recurrent-input": lambda projected, state: jnp.tanh(projected + norm(state) @ weight_hh),
            "hidden": lambda projected, state: norm(jnp.tanh(projected + state @ weight_hh)),
        }[placement]
        projected = x @ parameters["rnn.weight_ih_l0"].T
        return scan(step, (norm(projected, "norm_ih") if placement == "split-preactivation" else projected) + bias)

    return run


def gated_cell(cell, parameters):
    """What the inputs of all steps give at once, and a step (state, projected) -> (state, h); ../lib/bench/protocol.ts gives the equations."""
    weight_ih, weight_hh = parameters["rnn.weight_ih_l0"].T, parameters["rnn.weight_hh_l0"].T
    bias_ih, bias_hh = parameters["rnn.bias_ih_l0"], parameters["rnn.bias_hh_l0"]
    sigmoid = jax.nn.sigmoid
    normalised = cell == "layer-norm-lstm"

    def norm(x, name):
        return layer_norm(parameters, x, f"rnn.{name}") if normalised else x

    def lstm(state, projected):
        h, c = state
        i, f, g, o = jnp.split(projected + norm(h @ weight_hh, "norm_hh"), 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
        h = sigmoid(o) * jnp.tanh(norm(c, "norm_cell"))
        return (h, c), h

    def gru(h, projected):
        (r, z, n), (hidden_r, hidden_z, hidden_n) = jnp.split(projected, 3, -1), jnp.split(h @ weight_hh + bias_hh, 3, -1)
        r, z = sigmoid(r + hidden_r), sigmoid(z + hidden_z)
        n = jnp.tanh(n + r * hidden_n)
        h = (1 - z) * n + z * h
        return h, h

    def gru_reset_before(h, projected):
        r, z, n = jnp.split(projected, 3, -1)
        hidden_r, hidden_z = jnp.split(h @ weight_hh[:, : 2 * h.shape[-1]], 2, -1)
        r, z = sigmoid(r + hidden_r), sigmoid(z + hidden_z)
        n = jnp.tanh(n + (r * h) @ weight_hh[:, 2 * h.shape[-1] :])
        h = (1 - z) * n + z * h
        return h, h

    if cell == "gru":
        return lambda x: x @ weight_ih + bias_ih, gru
    if cell == "gru-reset-before":
        return lambda x: x @ weight_ih + (bias_ih + bias_hh), gru_reset_before
    return lambda x: norm(x @ weight_ih, "norm_ih") + (bias_ih + bias_hh), lstm


def zero_state(cell, parameters, sequences):
    zero = jnp.zeros((sequences, parameters["rnn.weight_hh_l0"].shape[1]), jnp.float32)
    return zero if cell.startswith("gru") else (zero, zero)


def gated_model(cell):
    def run(parameters, x):
        project, step = gated_cell(cell, parameters)
        return jax.lax.scan(step, zero_state(cell, parameters, x.shape[1]), project(x))[1]

    return run


def stream(cell, parameters, data):
    @jax.jit
    def one_step(parameters, state, x):
        project, step = gated_cell(cell, parameters)
        return step(state, project(x))

    steps = list(data["input"])

    def run_once():
        state, outputs = zero_state(cell, parameters, 1), []
        for x in steps:
            state, h = one_step(parameters, state, x)
            outputs.append(h)
        return jax.block_until_ready(outputs)

    return run_once, lambda outputs: output_numbers(np.stack(outputs))


def mse_loss(model, parameters, x, target):
    return jnp.square(model(parameters, x) - target).mean()


def clip(gradients, max_norm):
    norm = jnp.sqrt(sum(jnp.vdot(gradient, gradient) for gradient in jax.tree.leaves(gradients)))
    scale = jnp.minimum(1.0, max_norm / (norm + 1e-6))
    return jax.tree.map(lambda gradient: gradient * scale, gradients), norm


def adam(parameters, gradients, first, second, step, rate=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    """Algorithm 1 of Kingma and Ba, Adam: a method for stochastic optimization, 2015."""
    first = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, first, gradients)
    second = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, second, gradients)
    correction1, correction2 = 1 - beta1**step, 1 - beta2**step
    moved = jax.tree.map(lambda p, m, v: p - rate * (m / correction1) / (jnp.sqrt(v / correction2) + eps), parameters, first, second)
    return moved, first, second


def train(parameters, data, trial, trained=None):
    trained = trained or (normalised_rnn(trial["placement"]) if "placement" in trial else model)

    @jax.jit(donate_argnums=0)
    def train_step(state, x, target):
        parameters, first, second, step = state
        loss, gradients = jax.value_and_grad(mse_loss, argnums=1)(trained, parameters, x, target)
        gradients, norm = clip(gradients, 1.0)
        return (*adam(parameters, gradients, first, second, step), step + 1), loss, norm

    first, second = (jax.tree.map(jnp.zeros_like, parameters) for _ in range(2))
    state = (parameters, first, second, jnp.float32(1))

    def run_once():
        nonlocal state
        state, loss, norm = jax.block_until_ready(train_step(state, data["input"], data["target"]))
        return loss, norm

    def measure(result):
        # After one step Adam's first moment is 1 - beta1 times the gradient that it got.
        loss, norm = map(float, result)
        return {"loss": loss, "norm": norm, "clippedNorm": norm_of(leaves(state[1])) / (1 - 0.9)}

    return run_once, measure


def forward(parameters, data, trial, model=model):
    jitted = jax.jit(model)

    def run_once():
        return jax.block_until_ready(jitted(parameters, data["input"]))

    return run_once, lambda output: output_numbers(np.asarray(output))


def output_numbers(output):
    return {"loss": mean_square(output), "norm": norm_of([output])}


def backward(parameters, data, trial):
    @jax.jit
    def forward_pass(parameters, x, target):
        return jax.vjp(lambda parameters: mse_loss(model, parameters, x, target), parameters)

    # One forward pass serves all calls: what the backward pass needs of it is kept in `vjp`, an argument like any other.
    loss, vjp = forward_pass(parameters, data["input"], data["target"])
    jitted = jax.jit(lambda vjp, gradient: vjp(gradient))
    one = jnp.ones_like(loss)

    def run_once():
        return jax.block_until_ready(jitted(vjp, one))

    return run_once, lambda gradients: {"loss": float(loss), "norm": norm_of(leaves(gradients))}


def alone(layer, parameters, data):
    """Forward and backward with a given output gradient: gradients of the parameters and of the input."""

    @jax.jit
    def both_passes(parameters, x, grad_output):
        output, vjp = jax.vjp(layer, parameters, x)
        return output, vjp(grad_output)

    def run_once():
        return jax.block_until_ready(both_passes(parameters, data["input"], data["gradOutput"]))

    return run_once, lambda result: {"loss": mean_square(np.asarray(result[0])), "norm": norm_of(leaves(result[1]))}


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def start(message, tensors):
    arrays = {name: np.frombuffer(values, np.float32).reshape(shape) for name, (shape, values) in tensors.items()}
    parameters = {name: jnp.asarray(array) for name, array in arrays.items() if "." in name}
    # Time first, as lax.scan takes it.
    data = {name: jnp.asarray(array.swapaxes(0, 1)) for name, array in arrays.items() if "." not in name}
    works = {
        "train": train,
        "forward": forward,
        "backward": backward,
        "rnn": lambda parameters, data, trial: alone(rnn, parameters, data),
        "layer-norm": lambda parameters, data, trial: alone(layer_norm, parameters, data),
        "placement": train,
    }
    trial = message["trial"]
    task = gated_task(trial["work"])
    work = works[trial["work"]](parameters, data, trial) if task is None else gated(*task, parameters, data, trial)
    return (f"JAX {jax.__version__}, jit and lax.scan", *work)


def gated(cell, part, parameters, data, trial):
    if part == "step":
        return stream(cell, parameters, data)
    return {"train": train, "forward": forward}[part](parameters, data, trial, gated_model(cell))


serve(message, start)
