"""Which subsets of a collection are trained: all of it, less each train domain, each train domain replaced by each spare."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["full", "removal", "replacement"]


@dataclass(frozen=True)
class Subset:
    """One training of the measurement. `domains` keep their order, a replacement stands where the replaced one stood."""

    name: str
    kind: Kind
    domains: tuple[str, ...]
    removed: str | None = None
    added: str | None = None


def subsets(train: Sequence[str], spares: Sequence[str]) -> list[Subset]:
    """The full collection first, then removals (none where one train domain is all there is), then replacements.

    Raises ValueError if `train` is empty or a domain has two roles.
    """
    if not train:
        raise ValueError("measurement: expected at least one train domain, found none")
    both = sorted(set(train) & set(spares))
    if both:
        raise ValueError(f"measurement: domain {both[0]!r} is both train and spare")
    found = [Subset("full", "full", tuple(train))]
    if len(train) > 1:
        found += [Subset(f"without:{name}", "removal", tuple(d for d in train if d != name), removed=name) for name in train]
    for name in train:
        for spare in spares:
            domains = tuple(spare if d == name else d for d in train)
            found.append(Subset(f"{name}->{spare}", "replacement", domains, removed=name, added=spare))
    return found
