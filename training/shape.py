"""A learner's shape: what makes two learners' weights fit each other, and the dial that sets it."""

from dataclasses import dataclass

from pipelines.training_settings import Attention, LabelCodes, Mixer, Readout, Size, Training


@dataclass(frozen=True)
class Shape:
    """Numbers of a learner. `dimensions` are a feature's, `mlp` is the width inside a block's MLP."""

    dimensions: int
    max_way: int  # label codes of the kind learnable; the other kinds have as many as the width
    width: int
    layers: int
    heads: int
    mlp: int
    readout: Readout = "parts"
    label_codes: LabelCodes = "learnable"
    attention: Attention = "inline"
    parts: tuple[int, ...] = ()  # read-out parts: how many axes each part of a feature has; none: a feature is one part
    pixels: bool = False  # whether a backbone comes first, and makes features of pixels
    mixer: Mixer = "attention"

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"expected a width that is a multiple of the heads, found {self.width} and {self.heads}")
        if self.label_codes != "learnable" and self.max_way > self.width:
            raise ValueError(
                f"label codes {self.label_codes!r} of {self.width} dimensions are for at most {self.width} ways, found n_way "
                f"{self.max_way}; take a larger training.size"
            )


SIZES: dict[Size, dict[str, int]] = {
    "tiny": {"width": 128, "layers": 2, "heads": 4, "mlp": 256},
    "small": {"width": 256, "layers": 4, "heads": 8, "mlp": 1024},
    "geom": {"width": 1024, "layers": 8, "heads": 8, "mlp": 3072},  # CAMeLU, arXiv 2405.16124: CLIP's 768 and a code's 256
    "caml": {"width": 1024, "layers": 24, "heads": 16, "mlp": 4096},  # CAML, arXiv 2310.10971
}


def shape_of(settings: Training, dimensions: int, parts: tuple[int, ...] = (), *, pixels: bool = False) -> Shape:
    """The learner that these settings ask for, on features of so many dimensions. Raises ValueError as `Shape` does."""
    return Shape(
        dimensions,
        settings.n_way,
        **SIZES[settings.size],
        readout=settings.readout,
        label_codes=settings.label_codes,
        attention=settings.attention,
        parts=parts if settings.readout == "parts" else (),
        pixels=pixels,
        mixer=settings.mixer,
    )
