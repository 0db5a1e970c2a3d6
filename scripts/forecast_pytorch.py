"""The model of `evenkeel train` by PyTorch, on the same windows: what scripts/forecast.mjs compares with.

Reads a file of windows (safetensors) and a job (JSON) and prints, for each seed, the error on the test part:

    python3 scripts/forecast_pytorch.py windows.safetensors '{"cell": "lstm", ..., "seeds": [1, 2]}'
"""

import copy
import json
import sys

import torch
from safetensors.torch import load_file

CELLS = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


class Network(torch.nn.Module):
    """[N, window, C] to [N, horizon]: the last output of the recurrent layers, and a linear layer."""

    def __init__(self, job, input_size):
        super().__init__()
        self.recurrent = CELLS[job["cell"]](input_size, job["hidden"], job["layers"], batch_first=True, dropout=job["dropout"])
        self.head = torch.nn.Linear(job["hidden"], job["horizon"])

    def forward(self, x):
        return self.head(self.recurrent(x)[0][:, -1])


def train(job, data, seed):
    torch.manual_seed(seed)
    model = Network(job, data["train_inputs"].shape[2])
    optimizer = torch.optim.Adam(model.parameters(), lr=job["learningRate"])
    loss_of = torch.nn.MSELoss()
    best = (float("inf"), 0, None)
    count = len(data["train_inputs"])
    for epoch in range(1, job["epochs"] + 1):
        model.train()
        order = torch.randperm(count)
        for start in range(0, count, job["batchSize"]):
            batch = order[start : start + job["batchSize"]]
            optimizer.zero_grad()
            loss_of(model(data["train_inputs"][batch]), data["train_targets"][batch]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), job["clip"])
            optimizer.step()
        model.eval()
        with torch.no_grad():
            validation = loss_of(model(data["validation_inputs"]), data["validation_targets"]).item()
        if validation < best[0]:
            best = (validation, epoch, copy.deepcopy(model.state_dict()))
        elif epoch - best[1] >= job["patience"]:
            break
    model.load_state_dict(best[2])
    model.eval()
    with torch.no_grad():
        errors = (model(data["test_inputs"]) - data["test_targets"]).double() * data["test_units"].double()[:, None]
    return {"seed": seed, "rmse": errors.square().mean().sqrt().item(), "bestEpoch": best[1], "epochs": epoch}


def main():
    data = load_file(sys.argv[1])
    job = json.loads(sys.argv[2])
    torch.set_num_threads(job["threads"])
    print(json.dumps({"torch": torch.__version__, "runs": [train(job, data, seed) for seed in job["seeds"]]}))


main()
