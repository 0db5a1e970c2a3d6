"""Reads what keras-exports.mjs wrote by the loader that stands in each file, and compares what Keras makes of it."""

import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import importlib

keras = importlib.import_module(os.environ.get("KERAS", "keras"))
sys.modules["keras"] = keras
import numpy
from safetensors import safe_open

folder = pathlib.Path(sys.argv[1])
with safe_open(folder / "expected", "numpy") as file:
    lengths = json.loads(file.metadata()["lengths"])
    expected = {name: file.get_tensor(name) for name in file.keys()}
largest, count, skipped, failed = 0.0, 0, 0, False
for path in sorted(folder.glob("*.safetensors")):
    with safe_open(path, "numpy") as file:
        loader = file.metadata()["keras.loader"]
    if "RMSNormalization" in safe_open(path, "numpy").metadata()["keras"] and not hasattr(keras.layers, "RMSNormalization"):
        skipped += 1
        continue
    scope = {}
    exec(loader, scope)
    output = numpy.asarray(scope["load"](path)(expected[f"{path.stem}/input"]))
    wanted = expected[f"{path.stem}/expected"]
    assert output.shape == wanted.shape, (path.stem, output.shape, wanted.shape)
    if output.ndim == 3:
        counts = numpy.arange(output.shape[1])[None, :, None] < numpy.array(lengths[path.stem])[:, None, None]
        output, wanted = output * counts, wanted * counts
    difference = float(numpy.abs(output - wanted).max())
    if not difference < 1e-5:
        print(f"{path.stem}: differs by {difference}")
        failed = True
    largest, count = max(largest, difference), count + 1
left = f", {skipped} need a layer that it does not have" if skipped else ""
print(f"Keras {keras.__version__}: {count} models, largest difference {largest:.1e}{left}")
sys.exit(1 if failed else 0)
