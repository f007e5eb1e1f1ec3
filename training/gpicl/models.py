"""The sequence models by name."""

import torch
from torch import nn

from pipelines.gpicl_settings import HEADS, SequenceModel
from training.gpicl.lstm import Lstm, OuterLstm
from training.gpicl.transformer import CausalTransformer, Pairs, Shifted

Model = CausalTransformer | Lstm | OuterLstm


def sequence_model(
    kind: SequenceModel, generator: torch.Generator, *, inputs: int, n_way: int, length: int, width: int, layers: int
) -> Model:
    """A model with weights drawn from the generator. Each reads (x_BTP, y_BT) and scores every label before it sees it.

    `outer_lstm` has one layer of half the width: its state, which is what sets it apart, is large enough so.
    """
    model: Model
    if kind == "lstm":
        model = Lstm(inputs, n_way, width, layers)
    elif kind == "outer_lstm":
        model = OuterLstm(inputs, n_way, width // 2)
    else:
        model = {"transformer": Shifted, "pairs": Pairs}[kind](inputs, n_way, length, width, layers, HEADS)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear):
                module.weight.normal_(0.0, module.in_features**-0.5, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.LSTM):
                for parameter in module.parameters():
                    parameter.uniform_(-(module.hidden_size**-0.5), module.hidden_size**-0.5, generator=generator)
        if isinstance(model, CausalTransformer):
            model.draw(generator)
    return model
