"""ONNX models of one LSTM for scripts/one-step.mjs: states go in and come out.

    python scripts/one_step_onnx.py FOLDER       onnx 1.23.1, numpy
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

for inputs, units in [(1, 128), (8, 128), (64, 128), (128, 128)]:
    random = np.random.default_rng(1)
    weights = {"W": (1, 4 * units, inputs), "R": (1, 4 * units, units), "B": (1, 8 * units)}
    bound = units**-0.5
    tensors = [numpy_helper.from_array(random.uniform(-bound, bound, shape).astype(np.float32), name) for name, shape in weights.items()]
    value = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    node = helper.make_node("LSTM", ["x", "W", "R", "B", "", "h", "c"], ["", "h_n", "c_n"], hidden_size=units)
    graph = helper.make_graph(
        [node],
        "lstm",
        [value("x", 1, 1, inputs), value("h", 1, 1, units), value("c", 1, 1, units)],
        [value("h_n", 1, 1, units), value("c_n", 1, 1, units)],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, Path(sys.argv[1]) / f"lstm-{inputs}-{units}.onnx")
