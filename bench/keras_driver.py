"""Keras 3 on TensorFlow, its layers in compiled functions (tf.function). The lines it answers: ../lib/bench/protocol.ts."""

import os

from driver_common import gated_task, import_or_answer, mean_square, norm_of, receive, serve

message = receive()
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["OMP_NUM_THREADS"] = str(message["threads"])
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
packages = "keras tensorflow-cpu"
tf = import_or_answer("tensorflow", packages)
keras = import_or_answer("keras", packages)
import numpy as np


class LayerNormLSTMCell(keras.layers.Layer):
    """A cell as users write one where Keras has none; ../lib/bench/protocol.ts gives the equations. Weights in the order of build()."""

    def __init__(self, units):
        super().__init__()
        self.units = units
        self.state_size = [units, units]
        self.output_size = units

    def build(self, input_shape):
        gates = 4 * self.units
        self.kernel = self.add_weight(shape=(input_shape[-1], gates))
        self.recurrent_kernel = self.add_weight(shape=(self.units, gates))
        self.bias = self.add_weight(shape=(gates,))
        self.norm_ih, self.norm_hh, self.norm_cell = (self.add_weight(shape=(size,)) for size in (gates, gates, self.units))
        self.norm_shift = self.add_weight(shape=(self.units,))

    def call(self, x, states):
        h, c = states
        gates = self.normalise(tf.matmul(x, self.kernel)) * self.norm_ih
        gates = gates + self.normalise(tf.matmul(h, self.recurrent_kernel)) * self.norm_hh + self.bias
        i, f, g, o = tf.split(gates, 4, axis=-1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        h = tf.sigmoid(o) * tf.tanh(self.normalise(c) * self.norm_cell + self.norm_shift)
        return h, [h, c]

    @staticmethod
    def normalise(rows):
        centred = rows - tf.reduce_mean(rows, axis=-1, keepdims=True)
        return centred * tf.math.rsqrt(tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True) + 1e-5)


def cell_weights(cell, data):
    """In Keras' order and form: rows by columns, an LSTM's one bias the sum of both, a GRU's gates z, r, n, with two biases where it
    resets after its product."""
    weight_ih, weight_hh, bias_ih, bias_hh = (data[f"rnn.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    if cell.startswith("gru"):
        swap = lambda array: np.concatenate([np.split(array, 3)[gate] for gate in (1, 0, 2)])
        bias = np.stack([swap(bias_ih), swap(bias_hh)]) if cell == "gru" else swap(bias_ih + bias_hh)
        return [swap(weight_ih).T, swap(weight_hh).T, bias]
    norms = [data[f"rnn.norm_{name}"] for name in ("ih.weight", "hh.weight", "cell.weight", "cell.bias")] if cell != "lstm" else []
    return [weight_ih.T, weight_hh.T, bias_ih + bias_hh, *norms]


def make_layer(cell, hidden_size):
    if cell == "layer-norm-lstm":
        return keras.layers.RNN(LayerNormLSTMCell(hidden_size), return_sequences=True)
    if cell == "lstm":
        return keras.layers.LSTM(hidden_size, return_sequences=True)
    return keras.layers.GRU(hidden_size, return_sequences=True, reset_after=cell == "gru")


def train(cell, layer, data):
    optimizer = keras.optimizers.Adam(1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8)
    weights = layer.trainable_variables
    optimizer.build(weights)
    x, target = tf.constant(data["input"]), tf.constant(data["target"])
    # That GRU has both biases, the others one for two.
    counts = [2.0 if cell != "gru" and index == 2 else 1.0 for index in range(len(weights))]

    @tf.function
    def train_step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(layer(x) - target))
        gradients = tape.gradient(loss, [weight.value for weight in weights])
        squares = [count * tf.reduce_sum(tf.square(gradient)) for count, gradient in zip(counts, gradients)]
        norm = tf.sqrt(tf.add_n(squares))
        scale = tf.minimum(1.0, 1.0 / (norm + 1e-6))
        clipped = [scale * gradient for gradient in gradients]
        optimizer.apply(clipped, weights)
        return loss, norm, clipped

    def measure(result):
        loss, norm, clipped = result
        clipped_norm = norm_of([np.sqrt(count) * gradient.numpy() for count, gradient in zip(counts, clipped)])
        norm = clipped_norm * max(1.0, float(norm) + 1e-6)
        return {"loss": float(loss), "norm": norm, "clippedNorm": clipped_norm, "oneBias": cell != "gru"}

    def run_once():
        loss, norm, clipped = train_step()
        # Reading the loss waits for it, as a user does in every step.
        loss.numpy()
        return loss, norm, clipped

    return run_once, measure


def forward(cell, layer, data):
    x = tf.constant(data["input"])
    run = tf.function(lambda: layer(x))

    def run_once():
        return run().numpy()

    return run_once, output_numbers


def stream(cell, layer, data):
    """A compiled step of the layer's cell at a time."""
    steps = [tf.constant(data["input"][:, step]) for step in range(data["input"].shape[1])]
    zero = tf.zeros((1, layer.cell.units))
    one_step = tf.function(lambda x, state: layer.cell(x, state))

    def run_once():
        state, outputs = [zero] if cell.startswith("gru") else [zero, zero], []
        for x in steps:
            h, state = one_step(x, list(state))
            outputs.append(h)
        return tf.stack(outputs).numpy()

    return run_once, output_numbers


def output_numbers(output):
    return {"loss": mean_square(output), "norm": norm_of([output])}


def start(message, tensors):
    tf.config.threading.set_intra_op_parallelism_threads(message["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(message["threads"])
    data = {name: np.frombuffer(values, np.float32).reshape(shape) for name, (shape, values) in tensors.items()}
    task = gated_task(message["trial"]["work"])
    if task is None:
        raise ValueError(f"The driver of Keras has no {message['trial']['work']}.")
    cell, part = task
    layer = make_layer(cell, data["rnn.weight_hh_l0"].shape[1])
    layer.build(data["input"].shape)
    layer.set_weights(cell_weights(cell, data))
    run = {"train": train, "forward": forward, "step": stream}[part](cell, layer, data)
    return (f"Keras {keras.__version__}, TensorFlow {tf.__version__}", *run)


serve(message, start)
