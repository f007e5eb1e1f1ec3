"""Recurrent models of the same sequences: an LSTM, and one whose state is a matrix that outer products write to.

Shape letters: B sequences, T places, P numbers of an input, W ways, E width.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from training.gpicl.transformer import before


class Lstm(nn.Module):
    """An LSTM (Hochreiter & Schmidhuber 1997) over (x_t, y_{t-1})."""

    def __init__(self, inputs: int, n_way: int, width: int, layers: int) -> None:
        super().__init__()
        self.n_way = n_way
        self.lstm = nn.LSTM(inputs + n_way + 1, width, layers, batch_first=True)
        self.head = nn.Linear(width, n_way)

    @property
    def state(self) -> int:
        """Numbers that a prediction can rest on: cell and output of each layer."""
        return 2 * self.lstm.hidden_size * self.lstm.num_layers

    def forward(self, x_BTP: Tensor, y_BT: Tensor) -> Tensor:
        """Scores [B, T, W] of each label given all pairs before it and its own input."""
        out_BTE, _ = self.lstm(shown(x_BTP, y_BT, self.n_way))
        scores_BTW: Tensor = self.head(out_BTE)
        return scores_BTW


class OuterLstm(nn.Module):
    """One layer with a state of E x E numbers: GPICL's outer-product LSTM (arXiv 2212.04458, section 4.2).

    C_t = f C_{t-1} + i (x) z, with gates f (a row of C each) and i and the content z = tanh(.) all of width E, from the token
    and the last output; h_t = o tanh(C_t q / sqrt(E)). The paper names the outer product i (x) z alone; how the matrix is
    read, by a query q, is ours, as in fast weights (Schmidhuber 1992, doi 10.1162/neco.1992.4.1.131).
    """

    def __init__(self, inputs: int, n_way: int, width: int) -> None:
        super().__init__()
        self.n_way, self.width = n_way, width
        self.token = nn.Linear(inputs + n_way + 1, 5 * width)
        self.again = nn.Linear(width, 5 * width, bias=False)
        self.head = nn.Linear(width, n_way)

    @property
    def state(self) -> int:
        """Numbers that a prediction can rest on: the matrix and the last output."""
        return self.width * self.width + self.width

    def forward(self, x_BTP: Tensor, y_BT: Tensor) -> Tensor:
        """As `Lstm`."""
        token_BTX = self.token(shown(x_BTP, y_BT, self.n_way))
        matrix_BEE = token_BTX.new_zeros(len(x_BTP), self.width, self.width)
        out_BE = token_BTX.new_zeros(len(x_BTP), self.width)
        outs = []
        for token_BX in token_BTX.unbind(1):
            forget_BE, into_BE, content_BE, query_BE, through_BE = (token_BX + self.again(out_BE)).chunk(5, dim=1)
            written_BEE = into_BE.sigmoid().unsqueeze(2) * content_BE.tanh().unsqueeze(1)
            matrix_BEE = (forget_BE + 1.0).sigmoid().unsqueeze(2) * matrix_BEE + written_BEE
            read_BE = (matrix_BEE @ query_BE.unsqueeze(2)).squeeze(2) * self.width**-0.5
            out_BE = through_BE.sigmoid() * read_BE.tanh()
            outs.append(out_BE)
        scores_BTW: Tensor = self.head(torch.stack(outs, dim=1))
        return scores_BTW


def shown(x_BTP: Tensor, y_BT: Tensor, n_way: int) -> Tensor:
    """What a recurrent model reads at each place: the input and the label of the one before, one-hot [B, T, P + W + 1]."""
    return torch.cat([x_BTP, one_hot(before(y_BT, n_way), n_way + 1).to(x_BTP.dtype)], dim=2)
