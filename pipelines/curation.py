"""The settings of curation: what a record must be to be kept, for all domains in params.yaml, for one in its card."""

from typing import Any, Literal

from pydantic import Field, field_validator

from pipelines.settings import Settings


class Splits(Settings):
    """Shares of a domain set aside; by class where each split keeps `min_classes` of them, else by image."""

    validation: float = Field(default=0.15, ge=0.0, le=0.45)
    test: float = Field(default=0.15, ge=0.0, le=0.45)
    by: Literal["auto", "class", "image"] = "auto"
    min_classes: int = Field(default=5, ge=2, le=1000)


Proposals = list[Literal["hashes", "features"]]


def _both() -> Proposals:
    return ["hashes", "features"]


class Duplicates(Settings):
    """How near copies are found beside exact ones: what proposes pairs, and how well their pixels must agree."""

    proposals: Proposals = Field(default_factory=_both)
    agreement: float = Field(default=0.97, ge=0.5, le=1.0)  # 0 to 1, of aligned pixels; from here on a pair is one of copies
    turns: bool = True  # also mirrored, upside down and turned by quarters

    @field_validator("proposals")
    @classmethod
    def _proposals_differ(cls, value: list[str]) -> list[str]:
        if not value or len(set(value)) != len(value):
            raise ValueError(f"expected one or both of hashes and features, found {value}")
        return value


class Quality(Settings):
    """The score, 0 (good) to 1 (bad), from which on a record is set aside as low_quality; null: never, it is only a score."""

    dark: float | None = Field(default=None, ge=0.0, le=1.0)
    bright: float | None = Field(default=None, ge=0.0, le=1.0)
    blurry: float | None = Field(default=None, ge=0.0, le=1.0)
    low_information: float | None = Field(default=None, ge=0.0, le=1.0)
    odd_aspect: float | None = Field(default=None, ge=0.0, le=1.0)
    tiny: float | None = Field(default=None, ge=0.0, le=1.0)
    near_constant: float | None = Field(default=0.99, ge=0.0, le=1.0)


class Curation(Settings):
    """What a record must be to be kept, and how the kept ones are stored."""

    min_side: int = Field(default=16, ge=1, le=4096)  # px; a shorter side is too_small
    max_pixels: int = Field(default=64_000_000, ge=256, le=1_000_000_000)  # a picture beyond it is a bomb: unreadable
    image_side: int = Field(default=128, ge=16, le=4096)  # px; longer pictures are scaled down to it in the shards
    quality: Quality = Quality()
    near_duplicates: bool = True  # beside exact copies, set near copies (resized, mirrored, re-encoded) aside
    duplicates: Duplicates = Duplicates()
    min_per_class: int = Field(default=10, ge=1, le=100_000)  # images; a smaller class is rare_class
    cap_per_class: int = Field(default=200, ge=2, le=1_000_000)  # images; the rest is over_cap
    max_classes: int | None = Field(default=None, ge=2, le=100_000)  # taken of a domain; the rest is over_cap; null: all
    draw: Literal["random", "farthest_first", "kmeans"] = "random"  # which images a full class keeps: by lot or by diversity
    splits: Splits = Splits()
    shard_images: int = Field(default=2000, ge=1, le=1_000_000)  # images in one shard
    seed: int = Field(default=0, ge=0, le=2**31 - 1)

    def with_changes(self, changes: "CurationChanges") -> "Curation":
        """These settings with a card's own ones in their place."""
        return Curation.model_validate(_merged(self.model_dump(), changes.given()))


class CurationChanges(Settings):
    """Curation settings that one domain alone needs; unset fields follow `curation:` in params.yaml."""

    min_side: int | None = Field(default=None, ge=1, le=4096)
    min_per_class: int | None = Field(default=None, ge=1, le=100_000)
    cap_per_class: int | None = Field(default=None, ge=2, le=1_000_000)
    max_classes: int | None = Field(default=None, ge=2, le=100_000)
    draw: Literal["random", "farthest_first", "kmeans"] | None = None
    near_duplicates: bool | None = None
    duplicates: Duplicates | None = None
    quality: Quality | None = None

    def given(self) -> dict[str, Any]:
        """Only what is set; in `duplicates` and `quality` only the fields that are written there, a null among them."""
        return {name: value for name, value in self.model_dump(exclude_unset=True).items() if value is not None}


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`values` with `changes` in their place, mapping by mapping."""
    merged = dict(values)
    for name, change in changes.items():
        merged[name] = _merged(values[name], change) if isinstance(change, dict) else change
    return merged
