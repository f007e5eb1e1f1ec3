"""What a file must be: as the lock pinned it, and as the card's checksum says. Nothing else is taken in its place."""

from typing import NamedTuple

from pipelines.transfer import Pin, Place, SourceChanged, kept_until_told
from pipelines.transfer.locators import shown


class Expected(NamedTuple):
    """Of one file. `name` is for messages; `pin` None: not pinned, or the user takes what is there now."""

    name: str
    domain: str
    pin: Pin | None
    checksum: str | None

    @classmethod
    def of(cls, locator: str, place: Place, checksum: str | None) -> "Expected":
        """What the lock and the card say of a locator."""
        name = shown(locator)
        pin = None if place.rules.update else place.pinned.get(name)
        return cls(name, place.domain or "DOMAIN", pin, checksum)

    def met_by(self, found: Pin) -> bool:
        """Whether a file is as pinned."""
        return self.pin is None or (self.pin.bytes, self.pin.sha256) == (found.bytes, found.sha256)

    def check_size(self, size: int) -> None:
        """Raise SourceChanged if so many bytes cannot be what was pinned."""
        if self.pin is not None and size != self.pin.bytes:
            less = size < self.pin.bytes
            difference = f"{abs(size - self.pin.bytes)} {'fewer' if less else 'more'}"
            raise self._changed("shrank" if less else "changed", f"{size} bytes, {self.pin.bytes} were pinned ({difference})")

    def check(self, found: Pin) -> None:
        """Raise ValueError with both sums if the card says another, SourceChanged if the lock does."""
        if self.checksum is not None and f"sha256:{found.sha256}" != self.checksum:
            raise ValueError(
                f"{self.name}: expected {self.checksum}, found sha256:{found.sha256}; if the source was changed on purpose, "
                f"write the new checksum into the card, else get the file again (delete it if it is a download)"
            )
        self.check_size(found.bytes)
        if self.pin is not None and not self.met_by(found):
            sums = f"sha256 {found.sha256} now, {self.pin.sha256} was pinned"
            raise self._changed("changed", f"{found.bytes} bytes as before, but {sums}")

    def too_long(self, size: int) -> SourceChanged:
        """The error for a body that goes on after the pinned size."""
        assert self.pin is not None
        return self._changed("changed", f"more than {size} bytes, {self.pin.bytes} were pinned")

    def _changed(self, verb: str, change: str) -> SourceChanged:
        return SourceChanged(f"{self.name}: the source {verb}: {change}; {kept_until_told(self.domain)}")
