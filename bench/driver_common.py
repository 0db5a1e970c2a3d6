"""What the Python drivers of the benchmark share: the line loop and the data file. ../lib/bench/protocol.ts says what the lines mean.

Needs the standard library only, so that it can be tested where no framework is.
"""

import array
import importlib
import json
import math
import os
import resource
import sys
import time

# Whatever a framework prints must not stand between the answers.
_answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def receive():
    """The next line, decoded; the driver ends with the runner's last line."""
    line = sys.stdin.readline()
    if not line:
        sys.exit()
    return json.loads(line)


def import_or_answer(name, packages=None):
    """Imports a framework; when it is not installed, the answer is how to install it, and the driver ends."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        _fail({"error": f"{error}.", "install": f"{sys.executable} -m pip install {packages or name}"})


def serve(message, start):
    """Answers the first line, which is `message`, and those that follow.

    start(message, tensors) gives three things: name and version of the system; run_once(), which does the timed work once, to its end, and
    returns its result; and measure(result), which gives the numbers of such a result by their names in the protocol, as floats.
    """
    try:
        base_bytes = resident_bytes()
        system, run_once, measure = start(message, read_safetensors(message["dataFile"]))
        _answer({"ready": True, "system": system, "baseBytes": base_bytes})
        result = None
        while True:
            request = receive()
            if "measure" in request:
                _answer(_numbers(run_once, measure, result, request.get("first", False)))
            else:
                # Two results at a time would be memory that the work does not need.
                result = None
                times, result = _repeat(run_once, request["runMs"])
                _answer({"timesMs": times, "peakBytes": peak_bytes()})
    except Exception as error:
        _fail({"error": f"{type(error).__name__}: {error}"})


def _numbers(run_once, measure, result, first):
    """Those of the first call's result, and of one more step in training unless these are enough.

    "oneBias" among them says that one bias stands for PyTorch's two: Adam moves it by one step where it moves two by two, so a second step
    rightly differs.
    """
    numbers = measure(result)
    one_bias = numbers.pop("oneBias", False)
    if "clippedNorm" in numbers and not first and not one_bias:
        after = measure(run_once())
        numbers.update(nextLoss=after["loss"], nextNorm=after["norm"])
    return {name: _number(value) for name, value in numbers.items()}


def _number(value):
    """JSON has no NaN and no infinity; JavaScript writes null for them too."""
    return value if math.isfinite(value) else None


def _repeat(run_once, run_ms):
    times = []
    end = time.perf_counter() + run_ms / 1e3
    while True:
        result = None
        before = time.perf_counter()
        result = run_once()
        after = time.perf_counter()
        times.append((after - before) * 1e3)
        if after >= end:
            return times, result


def _answer(message):
    _answers.write(json.dumps(message) + "\n")
    _answers.flush()


def _fail(message):
    _answer(message)
    sys.exit(1)


def gated_task(work):
    """Cell and part of a work on a cell with gates, such as ("lstm", "train"); None of other works."""
    cell, _, part = work.rpartition("-")
    return (cell, part) if cell in ("lstm", "gru", "gru-reset-before", "layer-norm-lstm") else None


def norm_of(arrays):
    """The 2-norm of all elements of NumPy arrays or torch tensors together."""
    return math.sqrt(sum(map(_sum_of_squares, arrays)))


def mean_square(array):
    return _sum_of_squares(array) / math.prod(array.shape)


def _sum_of_squares(array):
    """Short sums in float32, added in double: a plain sum in float32 is off by more than 1e-4 over some million elements."""
    values = array.reshape(-1)
    return sum(float(part @ part) for part in (values[begin : begin + 4096] for begin in range(0, len(values), 4096)))


def read_safetensors(path):
    """The float32 tensors of a safetensors file: shape and values by name."""
    tensors = {}
    with open(path, "rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_bytes))
        header.pop("__metadata__", None)
        for name, entry in header.items():
            if entry["dtype"] != "F32":
                raise ValueError(f"{path}, tensor {name}: expected dtype F32, got {entry['dtype']}")
            begin, end = entry["data_offsets"]
            file.seek(8 + header_bytes + begin)
            values = array.array("f")
            values.fromfile(file, (end - begin) // values.itemsize)
            tensors[name] = (tuple(entry["shape"]), values)
    return tensors


def resident_bytes():
    """Resident memory now; where the system does not say, its largest value so far."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except FileNotFoundError:
        return peak_bytes()


def peak_bytes():
    """The largest resident memory so far. Linux' ru_maxrss will not do: there it starts at that of the process that started this one."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
