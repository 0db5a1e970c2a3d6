"""The study's findings that most depend on the implementation, measured with PyTorch alone: python scripts/study_pytorch.py docs/study-pytorch.json

1. How the gradient of a loss on the last step grows per step back, before any training, by number of units, start of W_hh and place of the LayerNorm.
2. What a clip at 1.0 does to trainings of the design in which gradients explode, by optimiser.
Takes some minutes. The intervals are those of Student's t over the draws.
"""
import json
import math
import platform
import sys
from datetime import date

import torch
from torch import nn

DTYPE = torch.float64
DRAWS, TRAINED_DRAWS, I, N, T = 10, 5, 10, 4, 200
T_QUANTILES = {DRAWS: 2.26216, TRAINED_DRAWS: 2.77645}  # Student's, 97.5 %, one degree of freedom less
torch.set_num_threads(1)
torch.set_default_dtype(DTYPE)


def drawn_mean(values):
    mean = sum(values) / len(values)
    if not math.isfinite(mean):
        return {"mean": None, "interval": [None, None], "draws": len(values)}
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values))
    half = T_QUANTILES[len(values)] * spread
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


def train(optimizer, clip, draw, steps=100, length=100, sequences=16, hidden=20):
    torch.manual_seed(draw)
    model = Cell("hidden", "1.5", hidden)
    x, target = torch.randn(sequences, length, I), torch.randn(sequences, hidden)
    name, rate = optimizer
    used = [p for n, p in model.named_parameters() if not n.startswith("norm_x")]
    step = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}[name](used, lr=rate)
    losses = []
    for _ in range(steps):
        step.zero_grad()
        h = torch.zeros(sequences, hidden)
        for t in range(length):
            h = model.step(x[:, t], h)
        loss = ((h - target) ** 2).mean()
        loss.backward()
        if not math.isfinite(loss.item()):
            return losses[0], math.inf
        if clip:
            nn.utils.clip_grad_norm_(used, clip)
        losses.append(loss.item())
        step.step()
    return losses[0], sum(losses[-10:]) / 10


def main(path):
    growth = []
    for hidden in (20, 64, 256, 512):
        for start in ("uniform", "1.0", "1.5"):
            for placement in ("none", "output", "preactivation", "split-preactivation", "hidden"):
                rates = [growth_rate(placement, start, hidden, draw) for draw in range(DRAWS)]
                name = start if start == "uniform" else f"orthogonal ×{start}"
                growth.append({"placement": placement, "initializer": name, "hiddenSize": hidden, "growth": drawn_mean(rates)})
                print(hidden, name, placement, growth[-1]["growth"], flush=True)
    clipping = []
    for optimizer in (("SGD", 0.1), ("Adam", 0.001)):
        for clip in (None, 1.0):
            runs = [train(optimizer, clip, draw) for draw in range(TRAINED_DRAWS)]
            clipping.append(
                {
                    "optimizer": f"{optimizer[0]} {optimizer[1]}",
                    "rule": f"norm {clip:g}" if clip else "no clip",
                    "lnLast": drawn_mean([math.log(last) for _, last in runs]),
                    "diverged": sum(not last <= first for first, last in runs),
                }
            )
            print(clipping[-1], flush=True)
    machine = {"pytorch": torch.__version__, "python": platform.python_version(), "platform": f"{platform.system().lower()} {platform.machine()}"}
    results = {
        "schema": "evenkeel/study-pytorch",
        "date": date.today().isoformat(),
        "environment": machine,
        "sequences": N,
        "timeSteps": T,
        "inputSize": I,
        "growth": growth,
        "clipping": clipping,
    }
    with open(path, "w", encoding="utf8") as file:
        json.dump(results, file, indent=1, ensure_ascii=False)
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
