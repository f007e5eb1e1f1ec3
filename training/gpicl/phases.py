"""Which algorithm a trained model has become, read off its accuracies: the phases of GPICL (arXiv 2212.04458, section 4).

The paper tells them by two questions: does accuracy rise within a sequence, and does it on tasks that were not trained on? The
thresholds are ours.
"""

from collections.abc import Mapping
from typing import Any, Literal

Phase = Literal["untrained", "memorisation", "identification", "learning"]
PHASES: dict[Phase, str] = {
    "untrained": "no learning",
    "memorisation": "instance memorisation",
    "identification": "task identification",
    "learning": "learning to learn",
}
LEAST = 0.05  # of accuracy above chance, or won by the context: less is taken for nothing
SHARE = 0.5  # of what is won above chance


def phase_of(seen: Mapping[str, Any], unseen: Mapping[str, Any], chance: float) -> Phase:
    """The phase, by summaries of tasks seen in training and of unseen ones.

    - untrained: at the end of its context the model is at chance, on seen tasks too.
    - learning: the context brings something on unseen tasks, at least half of what is reached above chance on seen ones.
    - memorisation: at least half of what is reached on seen tasks is there before any example.
    - identification: the rest. The context is needed, and serves seen tasks only.

    A difference counts from `LEAST` on, and where its 95 % interval leaves zero out.
    """
    reached = seen["end"]["mean"] - chance
    if reached < LEAST or seen["end"]["low"] <= chance:
        return "untrained"
    gain = unseen["gain"]
    if gain["low"] > 0 and gain["mean"] >= LEAST and unseen["end"]["mean"] - chance >= SHARE * reached:
        return "learning"
    if seen["first"]["mean"] - chance >= SHARE * reached:
        return "memorisation"
    return "identification"
