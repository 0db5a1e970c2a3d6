"""PyTorch's side of packed-rivals.mjs: nn.LSTM or nn.GRU over packed sequences, forward and backward with all gradients.

The first line says what to do, and where evenkeel put its numbers; each line after it is a number of passes, answered with their
milliseconds. Once it has been set up it answers with the gradients' largest difference from evenkeel's, relative to the largest gradient.
"""

import json
import sys
import time

import numpy as np
import torch

task = json.loads(sys.stdin.readline())
torch.set_num_threads(task["threads"])


def read(name, shape):
    return torch.from_numpy(np.fromfile(f"{task['folder']}/{name}.bin", dtype=np.float32).reshape(shape).copy())


n, t, inputs, units = task["n"], task["t"], task["i"], task["h"]
layer = getattr(torch.nn, task["cell"])(inputs, units, batch_first=True)
layer.load_state_dict({name: read(name, value.shape) for name, value in layer.state_dict().items()})
x = read("input", (n, t, inputs)).requires_grad_()
grad_output = read("gradOutput", (n, t, units))
lengths = torch.tensor(task["lengths"]) if task["lengths"] is not None else None


def run():
    layer.zero_grad(set_to_none=False)
    x.grad = None
    if lengths is None:
        layer(x)[0].backward(grad_output)
        return
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    output, _ = torch.nn.utils.rnn.pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=t)
    output.backward(grad_output)


run()
gradients = {"input": x.grad} | {name: parameter.grad for name, parameter in layer.named_parameters()}
difference = max(
    float((value - read(f"grad.{name}", value.shape)).abs().max() / value.abs().max()) for name, value in gradients.items()
)
print(json.dumps({"torch": torch.__version__, "difference": difference}), flush=True)

for line in sys.stdin:
    passes = int(line)
    begin = time.perf_counter()
    for _ in range(passes):
        run()
    print(1000 * (time.perf_counter() - begin) / passes, flush=True)
