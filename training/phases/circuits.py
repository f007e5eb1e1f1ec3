"""What a head attends to, as the shares that the circuits of in-context meta-learning are told by.

Minegishi et al. (2025, arXiv 2505.16694). Tokens are items and labels in turn, the asked item last.

Shape letters: B contexts, H heads, T = 2 N + 1 tokens, from the row's to the column's.
"""

from torch import Tensor

MEASURES = ("bigram", "label_attention", "chunk_example")


def circuits(share_BHTT: Tensor) -> dict[str, Tensor]:
    """Each measure of every head, [H], 0 to 1, mean over contexts.

    - bigram: the asked item attends to itself.
    - label_attention: the asked item attends to the labels, together.
    - chunk_example: a label attends to its own item, mean over the pairs. In a first layer it makes a pair one token.
    """
    last_BHT = share_BHTT[:, :, -1]
    chunk_BHN = share_BHTT[:, :, 1::2, 0::2].diagonal(dim1=2, dim2=3)
    return {
        "bigram": last_BHT[:, :, -1].mean(dim=0),
        "label_attention": last_BHT[:, :, 1::2].sum(dim=2).mean(dim=0),
        "chunk_example": chunk_BHN.mean(dim=(0, 2)),
    }
