"""PyTorch on the CPU, as its users write it. The lines it answers: ../lib/bench/protocol.ts."""

from driver_common import gated_task, import_or_answer, mean_square, norm_of, receive, serve

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


def normalised_rnn(parameters, placement, x):
    """A LayerNorm within the recurrence, in a loop over time. x: [N, T, I] -> [N, T, H]; ../lib/bench/protocol.ts gives the equations."""
    weight_hh, bias = parameters["rnn.weight_hh_l0"].T, parameters["rnn.bias_ih_l0"] + parameters["rnn.bias_hh_l0"]

    def norm(rows, name="norm"):
        weight, shift = parameters[f"rnn.{name}.weight"], parameters.get(f"rnn.{name}.bias")
        return torch.nn.functional.layer_norm(rows, weight.shape, weight, shift, 1e-5)

    step = {
        "preactivation": lambda projected, state: torch.tanh(norm(torch.addmm(projected, state, weight_hh))),
        "split-preactivation": lambda projected, state: torch.tanh(projected + norm(state @ weight_hh, "norm_hh")),
        "recurrent-input": lambda projected, state: torch.tanh(torch.addmm(projected, norm(state), weight_hh)),
        "hidden": lambda projected, state: norm(torch.tanh(torch.addmm(projected, state, weight_hh))),
    }[placement]
    projected = x @ parameters["rnn.weight_ih_l0"].T
    projected = (norm(projected, "norm_ih") if placement == "split-preactivation" else projected) + bias
    states = [step(projected[:, 0], x.new_zeros(len(x), len(bias)))]
    for projected_step in projected.unbind(1)[1:]:
        states.append(step(projected_step, states[-1]))
    return torch.stack(states, 1)


def placed(data, trial):
    parameters = {name: tensor.requires_grad_() for name, tensor in data.items() if "." in name}
    return train_step(lambda x: normalised_rnn(parameters, trial["placement"], x), list(parameters.values()), data)


def train(data, trial):
    model = Model(data)
    return train_step(model, list(model.parameters()), data)


def train_step(model, parameters, data):
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
        clipped = norm_of(parameter.grad for parameter in parameters)
        return {"loss": loss, "norm": clipped * max(1.0, norm + 1e-6), "clippedNorm": clipped}

    return run_once, measure


def forward(data, trial):
    model = Model(data)

    @torch.inference_mode()
    def run_once():
        return model(data["input"])

    return run_once, lambda output: {"loss": mean_square(output), "norm": norm_of([output])}


def backward(data, trial):
    model = Model(data)
    parameters = list(model.parameters())
    loss = torch.nn.functional.mse_loss(model(data["input"]), data["target"])

    # One forward pass, kept, serves all calls.
    def run_once():
        return torch.autograd.grad(loss, parameters, retain_graph=True)

    return run_once, lambda gradients: {"loss": loss.item(), "norm": norm_of(gradients)}


def rnn(data, trial):
    hidden_size, input_size = data["rnn.weight_ih_l0"].shape
    layer = torch.nn.RNN(input_size, hidden_size, batch_first=True)
    layer.load_state_dict({name: data[f"rnn.{name}"] for name in layer.state_dict()})
    inputs = [data["input"].requires_grad_(), *layer.parameters()]

    def run_once():
        output = layer(inputs[0])[0]
        return output, torch.autograd.grad(output, inputs, data["gradOutput"])

    return run_once, lambda result: {"loss": mean_square(result[0].detach()), "norm": norm_of(result[1])}


def layer_norm(data, trial):
    layer = torch.nn.LayerNorm(data["ln.weight"].numel(), eps=1e-5)
    layer.load_state_dict({"weight": data["ln.weight"], "bias": data["ln.bias"]})
    x = data["input"].requires_grad_()

    def run_once():
        output = layer(x)
        return output, torch.autograd.grad(output, [x, layer.weight, layer.bias], data["gradOutput"])

    return run_once, lambda result: {"loss": mean_square(result[0].detach()), "norm": norm_of(result[1])}


class LayerNormLSTM(torch.nn.Module):
    """A LayerNorm LSTM to be scripted, as PyTorch's benchmark of custom LSTMs does; ../lib/bench/protocol.ts gives the equations.

    The inputs of all steps are multiplied and normalised at once, which is faster than a step at a time.
    """

    def __init__(self, data):
        super().__init__()
        for name, tensor in data.items():
            if name.startswith("rnn."):
                self.register_parameter(name.removeprefix("rnn.").replace(".", "_"), torch.nn.Parameter(tensor))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        zero = x.new_zeros(x.shape[0], self.weight_hh_l0.shape[1])
        return self.steps(x, zero, zero)[0]

    @torch.jit.export
    def steps(self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        gates, units = self.weight_hh_l0.shape
        projected = torch.nn.functional.layer_norm(x @ self.weight_ih_l0.t(), (gates,), self.norm_ih_weight, None, 1e-5)
        projected = projected + (self.bias_ih_l0 + self.bias_hh_l0)
        weight_hh = self.weight_hh_l0.t()
        outputs: list[torch.Tensor] = []
        for projected_step in projected.unbind(1):
            fed_back = torch.nn.functional.layer_norm(h @ weight_hh, (gates,), self.norm_hh_weight, None, 1e-5)
            i, f, g, o = (projected_step + fed_back).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            norm = torch.nn.functional.layer_norm(c, (units,), self.norm_cell_weight, self.norm_cell_bias, 1e-5)
            h = torch.sigmoid(o) * torch.tanh(norm)
            outputs.append(h)
        return torch.stack(outputs, 1), h, c


def own_layer(cell, data):
    hidden_size, input_size = data["rnn.weight_hh_l0"].shape[1], data["rnn.weight_ih_l0"].shape[1]
    layer = (torch.nn.LSTM if cell == "lstm" else torch.nn.GRU)(input_size, hidden_size, batch_first=True)
    layer.load_state_dict({name: data[f"rnn.{name}"] for name in layer.state_dict()})
    return layer


def gated(cell, part, data):
    if part == "step":
        return stream(cell, data)
    module = torch.jit.script(LayerNormLSTM(data)) if cell == "layer-norm-lstm" else own_layer(cell, data)
    model = module if cell == "layer-norm-lstm" else lambda x: module(x)[0]
    if cell == "layer-norm-lstm":
        # The script is compiled in its second call, after a first that it watches: neither is what a user waits for.
        for _ in range(3):
            with torch.inference_mode(part != "train"):
                output = model(data["input"])
            if part == "train":
                output.sum().backward()
    if part == "train":
        return train_step(model, list(module.parameters()), data)
    return inference(lambda: model(data["input"]))


def stream(cell, data):
    """Step by step by LSTMCell and GRUCell, which are faster at it than LSTM and GRU."""
    if cell == "layer-norm-lstm":
        step = torch.jit.script(LayerNormLSTM(data))
    else:
        layer = own_layer(cell, data)
        step = (torch.nn.LSTMCell if cell == "lstm" else torch.nn.GRUCell)(layer.input_size, layer.hidden_size)
        step.load_state_dict({name.removesuffix("_l0"): tensor for name, tensor in layer.state_dict().items()})
    steps = data["input"].unbind(1)
    zero = data["input"].new_zeros(1, data["rnn.weight_hh_l0"].shape[1])

    def run():
        h, c, outputs = zero, zero, []
        for x in steps:
            if cell == "lstm":
                h, c = step(x, (h, c))
            elif cell == "gru":
                h = step(x, h)
            else:
                _, h, c = step.steps(x.unsqueeze(1), h, c)
            outputs.append(h)
        return torch.stack(outputs)

    return inference(run)


def inference(run):
    return torch.inference_mode()(run), lambda output: {"loss": mean_square(output), "norm": norm_of([output])}


def start(message, tensors):
    torch.set_num_threads(message["threads"])
    data = {name: torch.frombuffer(values, dtype=torch.float32).reshape(shape) for name, (shape, values) in tensors.items()}
    blas = "MKL" if torch.backends.mkl.is_available() else "without MKL"
    works = {"train": train, "forward": forward, "backward": backward, "rnn": rnn, "layer-norm": layer_norm, "placement": placed}
    trial = message["trial"]
    task = gated_task(trial["work"])
    work = works[trial["work"]](data, trial) if task is None else gated(*task, data)
    return (f"PyTorch {torch.__version__}, {blas}, fused Adam", *work)


serve(message, start)
