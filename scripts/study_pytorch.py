"""The study's findings that most depend on the implementation, measured with PyTorch alone: python scripts/study_pytorch.py docs/study-pytorch.json

growth: how the gradient of a loss on the last step grows per step back, before any training, by number of units, start of W_hh and place of the LayerNorm.
clipping: what a clip at 1.0 does to trainings of the design in which gradients explode, by optimiser, on noise and on what can be learnt.
regimes: the text's Example 1 in other settings, with its LayerNorm before the RNN, after it, and none.
Names after the file measure these alone and leave the others in the file as they are: … docs/study-pytorch.json clipping regimes.
Takes some ten minutes of one core. The intervals are those of Student's t over the draws.
"""
import json
import math
import os
import platform
import sys
from datetime import date

import torch
from torch import nn

DRAWS, I, N, T = 10, 10, 4, 200
T_QUANTILE = 2.26216  # Student's, 97.5 %, DRAWS − 1 degrees of freedom
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def drawn_mean(values):
    mean = sum(values) / len(values)
    if not math.isfinite(mean):
        return {"mean": None, "interval": [None, None], "draws": len(values)}
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values))
    half = T_QUANTILE * spread
    return {"mean": mean, "interval": [mean - half, mean + half], "draws": len(values)}


class Cell(nn.Module):
    """An nn.RNNCell's weights with a LayerNorm in one place."""

    def __init__(self, placement, start, hidden):
        super().__init__()
        self.placement = placement
        self.cell = nn.RNNCell(I, hidden)
        if start != "uniform":
            nn.init.orthogonal_(self.cell.weight_hh, float(start))
        self.norm, self.norm_x = nn.LayerNorm(hidden), nn.LayerNorm(hidden)

    def step(self, x, h):
        c = self.cell
        own, recurrent, bias = x @ c.weight_ih.T, h @ c.weight_hh.T, c.bias_ih + c.bias_hh
        if self.placement == "preactivation":
            return torch.tanh(self.norm(own + recurrent + bias))
        if self.placement == "split-preactivation":
            return torch.tanh(self.norm_x(own) + self.norm(recurrent) + bias)
        h = torch.tanh(own + recurrent + bias)
        return self.norm(h) if self.placement == "hidden" else h


def slope(values):
    middle = (len(values) - 1) / 2
    return sum((i - middle) * v for i, v in enumerate(values)) / sum((i - middle) ** 2 for i in range(len(values)))


def growth_rate(placement, start, hidden, draw):
    torch.manual_seed(draw)
    model = Cell(placement, start, hidden)
    x, target = torch.randn(N, T, I), torch.randn(N, hidden)
    states, h = [], torch.zeros(N, hidden)
    for t in range(T):
        h = model.step(x[:, t], h)
        if h.requires_grad:
            h.retain_grad()
        states.append(h)
    out = nn.functional.layer_norm(h, [hidden]) if placement == "output" else h
    ((out - target) ** 2).mean().backward()
    rates = []
    for row in range(N):
        logs = [math.log(s.grad[row].norm().item()) for s in reversed(states)]
        rates.append(slope(logs[len(logs) // 4 :]))
    return sum(rates) / N


OPTIMIZERS = {
    "SGD 0.1": lambda p: torch.optim.SGD(p, lr=0.1),
    "SGD 0.01": lambda p: torch.optim.SGD(p, lr=0.01),
    "momentum 0.9, 0.01": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
    "Adam 0.001": lambda p: torch.optim.Adam(p, lr=1e-3),
    "Adam 0.01": lambda p: torch.optim.Adam(p, lr=1e-2),
}


def train(optimizer, clip, target, draw, steps=100, length=100, sequences=16, hidden=20):
    """The first loss, and the mean of the last ten: infinite where the training left the range of numbers."""
    torch.manual_seed(draw)
    model = Cell("hidden", "1.5", hidden)
    head = nn.Linear(hidden, 1) if target == "learnable" else nn.Identity()
    noise = torch.randn(sequences, length, I), torch.randn(sequences, hidden)
    used = [p for n, p in model.named_parameters() if not n.startswith("norm_x")] + list(head.parameters())
    step = OPTIMIZERS[optimizer](used)
    losses = []
    for _ in range(steps):
        x, y = noise
        if target == "learnable":
            x = torch.randn(sequences, length, I)
            y = x[:, -1].sum(1, keepdim=True) / math.sqrt(I)
        step.zero_grad()
        h = torch.zeros(sequences, hidden)
        for t in range(length):
            h = model.step(x[:, t], h)
        loss = ((head(h) - y) ** 2).mean()
        loss.backward()
        if not math.isfinite(loss.item()):
            return losses[0], math.inf
        if clip:
            nn.utils.clip_grad_norm_(used, clip)
        losses.append(loss.item())
        step.step()
    return losses[0], sum(losses[-10:]) / 10


# Names and settings are those of lib/study/regimes.ts.
REGIMES = {
    "text": {},
    "adam-0.1": {"lr": 0.1},
    "adam-1": {"lr": 1.0},
    "sgd-0.1": {"optimizer": torch.optim.SGD, "lr": 0.1},
    "sgd-10": {"optimizer": torch.optim.SGD, "lr": 10.0},
    "small": {"input_scale": 0.01, "weight_scale": 0.1},
    "small-weights": {"weight_scale": 0.001},
    "relu": {"nonlinearity": "relu"},
    "relu-orthogonal": {"nonlinearity": "relu", "orthogonal": 1.5},
    "relu-long": {"nonlinearity": "relu", "length": 200, "steps": 150, "lr": 0.01},
}


def example1(
    system,
    draw,
    optimizer=torch.optim.Adam,
    lr=1e-3,
    nonlinearity="tanh",
    length=50,
    steps=100,
    input_scale=1.0,
    weight_scale=1.0,
    orthogonal=None,
    sequences=32,
    hidden=20,
):
    """The gradient norm and the largest |h_T| of each step, in float32, and whether it ended with what is not finite."""
    torch.manual_seed(draw)
    rnn = nn.RNN(I, hidden, nonlinearity=nonlinearity, batch_first=True, dtype=torch.float32)
    with torch.no_grad():
        if orthogonal is not None:
            nn.init.orthogonal_(rnn.weight_hh_l0, orthogonal)
        for parameter in rnn.parameters():
            parameter.mul_(weight_scale)
    norm = nn.LayerNorm(I if system == "before" else hidden, dtype=torch.float32)
    used = list(rnn.parameters()) + ([] if system == "none" else list(norm.parameters()))
    step = optimizer(used, lr=lr)
    x = input_scale * torch.randn(sequences, length, I, dtype=torch.float32)
    y = torch.randn(sequences, length, hidden, dtype=torch.float32)
    norms, states = [], []
    for _ in range(steps):
        step.zero_grad()
        h, _ = rnn(norm(x) if system == "before" else x)
        loss = (((norm(h) if system == "after" else h) - y) ** 2).mean()
        loss.backward()
        size = math.sqrt(sum(p.grad.double().pow(2).sum().item() for p in used))
        state = h[:, -1].abs().max().item()
        if not (math.isfinite(loss.item()) and math.isfinite(size) and math.isfinite(state)):
            return norms, states, True
        norms.append(size)
        states.append(state)
        step.step()
    return norms, states, not all(p.isfinite().all() for p in used)


def measure_growth():
    for hidden in (20, 64, 256, 512):
        for start in ("uniform", "1.0", "1.5"):
            for placement in ("none", "output", "preactivation", "split-preactivation", "hidden"):
                rates = [growth_rate(placement, start, hidden, draw) for draw in range(DRAWS)]
                name = start if start == "uniform" else f"orthogonal ×{start}"
                yield {"placement": placement, "initializer": name, "hiddenSize": hidden, "growth": drawn_mean(rates)}


def measure_clipping():
    for target in ("noise", "learnable"):
        for optimizer in OPTIMIZERS:
            for rule, clip in (("no clip", None), ("norm 1", 1.0)):
                runs = [train(optimizer, clip, target, draw) for draw in range(DRAWS)]
                yield {
                    "target": target,
                    "optimizer": optimizer,
                    "rule": rule,
                    "lnLast": drawn_mean([math.log(last) for _, last in runs]),
                    "diverged": sum(not last <= first for first, last in runs),
                }


def measure_regimes():
    for regime, settings in REGIMES.items():
        for system in ("none", "before", "after"):
            runs = [example1(system, draw, **settings) for draw in range(DRAWS)]
            yield {
                "regime": regime,
                "system": system,
                "lnFirst": drawn_mean([math.log(norms[0]) for norms, _, _ in runs]),
                "lnPeak": drawn_mean([math.log(max(norms) / norms[0]) for norms, _, _ in runs]),
                "largestNorms": [max(norms) for norms, _, _ in runs],
                "largestStates": [max(states) for _, states, _ in runs],
                "notFinite": sum(broke for _, _, broke in runs),
                "lastNormsBeforeNotFinite": [norms[-1] for norms, _, broke in runs if broke],
            }


PARTS = {"growth": measure_growth, "clipping": measure_clipping, "regimes": measure_regimes}


def rounded(value):
    """Numbers to five digits."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return {key: rounded(each) for key, each in value.items()} if isinstance(value, dict) else value


def main(path, *parts):
    machine = {"pytorch": torch.__version__, "python": platform.python_version(), "platform": f"{platform.system().lower()} {platform.machine()}"}
    results = {
        "schema": "evenkeel/study-pytorch",
        "date": date.today().isoformat(),
        "environment": machine,
        "sequences": N,
        "timeSteps": T,
        "inputSize": I,
    }
    if parts and os.path.exists(path):
        with open(path, encoding="utf8") as file:
            before = json.load(file)
        if before["environment"] != machine:
            sys.exit(f"Expected a file of {machine}, got one of {before['environment']}: measure all parts.")
        results.update({part: before[part] for part in PARTS if part in before})
    for part in parts or PARTS:
        results[part] = []
        for found in PARTS[part]():
            results[part].append(rounded(found))
            print(results[part][-1], flush=True)
        with open(path, "w", encoding="utf8") as file:
            json.dump(results, file, indent=1, ensure_ascii=False)
            file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
