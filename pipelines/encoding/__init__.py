"""What an image becomes before training: a row of features by the embedded encoder or a model of the Hub, or its pixels.

`choose` reads `encoding.encoder` of params.yaml. Curation uses the embedded encoder whatever is chosen here.
"""

from pipelines.encoding.choice import ImageEncoder, choose
from pipelines.encoding.embedded import Embedded

__all__ = ["Embedded", "ImageEncoder", "choose"]
