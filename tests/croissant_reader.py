"""mlcroissant, imported so that it does no harm to the tests beside it."""

import sys

import absl.logging
import mlcroissant

# absl's handler closes its stream once logging is set up anew, as Prefect does; the stream that it found is pytest's own
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__

__all__ = ["mlcroissant"]
