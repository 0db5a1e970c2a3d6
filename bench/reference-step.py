"""One training step of Example 3 in PyTorch, timed with 1 and with all threads; called by reference-step.mjs."""
import statistics
import sys
import time

import torch

steps, all_threads = int(sys.argv[1]), int(sys.argv[2])
torch.manual_seed(0)
rnn, norm = torch.nn.RNN(10, 20, batch_first=True), torch.nn.LayerNorm(20)
parameters = [*rnn.parameters(), *norm.parameters()]
optimizer = torch.optim.Adam(parameters, lr=1e-3)
x, target = torch.randn(32, 50, 10), torch.randn(32, 50, 20)


def median_milliseconds(threads: int) -> float:
    torch.set_num_threads(threads)
    times = []
    for step in range(steps + 50):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(norm(rnn(x)[0]), target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step >= 50:
            times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


print(torch.__version__, min(median_milliseconds(threads) for threads in {1, all_threads}))
