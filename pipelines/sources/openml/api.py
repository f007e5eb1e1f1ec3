"""What OpenML says of a data set, asked through the openml package."""

from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import requests

from pipelines.secrets import clean
from pipelines.sources.openml.address import API_KEY
from pipelines.sources.openml.files import Described
from pipelines.sources.openml.package import contained
from pipelines.transfer import Place, TransferError
from pipelines.transfer.locators import shown

UNKNOWN, PRIVATE, BUSY, NO_KEY = 111, 112, 107, 103  # codes of OpenML's errors


def describe(number: int, server: str, place: Place) -> Described:
    """Ask the server of a data set.

    Raises ValueError (one line) if it is unknown, private or withdrawn, TransferError where another attempt may help.
    """
    where = f"OpenML data set {number} at {shown(server)}"
    with contained(server, place) as package:
        try:
            package.datasets.get_dataset(number)
            file = Path(package.config.get_cache_directory()) / "datasets" / str(number) / "description.xml"
            found = _read(file.read_bytes())
        except (requests.RequestException, package.exceptions.PyOpenMLError) as error:
            raise _refusal(error, where, package) from None
        except (LookupError, TypeError, ValueError, ElementTree.ParseError) as error:
            raise ValueError(f"{where}: the server's description is not readable ({clean(error)[:200]})") from None
    if found.status == "deactivated":
        raise ValueError(f"{where} is deactivated: its maintainers withdrew it; look there for its successor")
    return found


def _read(xml: bytes) -> Described:
    root = ElementTree.fromstring(xml)  # the package has parsed it before, and refuses entities

    def text(*names: str) -> str:
        found = (root.findtext(f"{{*}}{name}") for name in names)
        return next((value.strip() for value in found if value and value.strip()), "")

    return Described(
        name=text("name"),
        version=text("version"),
        status=text("status"),
        table=text("parquet_url", "minio_url"),
        description=text("description"),
        licence=text("licence"),
        citation="; ".join(line for found in root.iterfind("{*}citation") if (line := (found.text or "").strip())),
        homepage=text("original_data_url"),
        md5_checksum=text("md5_checksum"),
    )


def _refusal(error: Exception, where: str, package: ModuleType) -> Exception:
    """What to tell the user of an error that the package raises."""
    code = getattr(error, "code", None)
    if isinstance(error, requests.RequestException) or code == BUSY:
        return TransferError("the server is silent" if isinstance(error, requests.Timeout) else clean(error)[:200])
    if code == UNKNOWN:
        return ValueError(f"{where} is not known there; check source.locator of the card")
    if code == PRIVATE or isinstance(error, package.exceptions.OpenMLPrivateDatasetError):
        return ValueError(f"{where} is private; set {API_KEY} to the key of an account that may read it")
    if code == NO_KEY:
        return ValueError(f"{where}: the server refuses the key in {API_KEY}; set a valid one or none")
    return ValueError(f"{where}: {clean(error)[:200]}")
