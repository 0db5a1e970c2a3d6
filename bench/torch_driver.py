"""PyTorch on the CPU, as its users write it. The lines it answers: ../lib/bench/protocol.ts."""

from driver_common import import_or_answer, mean_square, norm_of, receive, serve

message = receive()
torch = import_or_answer("torch")


class Model(torch.nn.Module):
    def __init__(self, data):
        super().__init__()
        hidden_size, input_size = data["rnn.weight_ih_l0"].shape
        self.rnn = torch.nn.RNN(input_size, hidden_size, batch_first=True)
        self.ln = torch.nn.LayerNorm(hidden_size, eps=1e-5)
        self.load_state_dict({name: data[name] for name in self.state_dict()})

    def forward(self, x):
        return self.ln(self.rnn(x)[0])


def train(data):
    model = Model(data)
    parameters = list(model.parameters())
    # The fastest of its implementations: fused, foreach, and a loop over the parameters.
    optimizer = torch.optim.Adam(parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, fused=True)

    def run_once():
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(data["input"]), data["target"])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return loss.detach(), norm

    def measure(result):
        # PyTorch sums its norm plainly in float32, which at millions of weights is off by more than the agreement asked for. So the clipped
        # gradients are measured, and their scaling is taken back.
        loss, norm = (tensor.item() for tensor in result)
        return loss, norm_of(parameter.grad for parameter in parameters) * max(1.0, norm + 1e-6)

    return run_once, measure


def forward(data):
    model = Model(data)

    @torch.inference_mode()
    def run_once():
        return model(data["input"])

    return run_once, lambda output: (mean_square(output), norm_of([output]))


def backward(data):
    model = Model(data)
    parameters = list(model.parameters())
    loss = torch.nn.functional.mse_loss(model(data["input"]), data["target"])

    # One forward pass, kept, serves all calls.
    def run_once():
        return torch.autograd.grad(loss, parameters, retain_graph=True)

    return run_once, lambda gradients: (loss.item(), norm_of(gradients))


def layer_norm(data):
    layer = torch.nn.LayerNorm(data["ln.weight"].numel(), eps=1e-5)
    layer.load_state_dict({"weight": data["ln.weight"], "bias": data["ln.bias"]})
    x = data["input"].requires_grad_()

    def run_once():
        output = layer(x)
        return output, torch.autograd.grad(output, [x, layer.weight, layer.bias], data["gradOutput"])

    return run_once, lambda result: (mean_square(result[0].detach()), norm_of(result[1]))


def start(message, tensors):
    torch.set_num_threads(message["threads"])
    data = {name: torch.frombuffer(values, dtype=torch.float32).reshape(shape) for name, (shape, values) in tensors.items()}
    blas = "MKL" if torch.backends.mkl.is_available() else "without MKL"
    work = {"train": train, "forward": forward, "backward": backward, "layer-norm": layer_norm}[message["trial"]["work"]]
    return (f"PyTorch {torch.__version__}, {blas}, fused Adam", *work(data))


serve(message, start)
