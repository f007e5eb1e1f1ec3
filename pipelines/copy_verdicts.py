"""What becomes of the members of a cluster of copies, and why in words."""

from typing import Any

from pipelines.clusters import Near

Members = dict[str, Near | None]  # keeper first; how each lies to the keeper, None if its pixels are the same


def verdicts(members: Members, rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """key, verdict, reason and kept_key of the members of a cluster that are set aside.

    `rows` gives label, sha256, pixel_hash and override of each key.
    """
    keeper = next(iter(members))
    labels = {rows[key]["label"] for key in members}
    if spoken := _spoken_for(members, rows):
        return _verdicts_by_hand(members, rows, spoken)
    if len(labels) == 1:
        return [
            {"key": key, "verdict": "duplicate", "reason": _reason(key, keeper, members, rows), "kept_key": keeper}
            for key in members
            if key != keeper
        ]
    given = []
    for key in members:
        others = [other for other in members if rows[other]["label"] != rows[key]["label"]]
        other = min(others, key=lambda name: _strangeness(rows[name], rows[key]))
        reason = f"{_reason(key, other, members, rows)}, which is labelled {rows[other]['label']!r}"
        given.append({"key": key, "verdict": "label_conflict", "reason": reason, "kept_key": None})
    return given


def _spoken_for(members: Members, rows: dict[str, dict[str, Any]]) -> dict[str, str]:
    """label -> the record that a hand set for it: those kept, else those relabelled; none where relabelled ones disagree."""
    kept, relabelled = ([key for key in members if rows[key]["override"] == hand] for hand in ("keep", "relabel"))
    spoken = {rows[key]["label"]: key for key in reversed(kept or relabelled)}
    return spoken if kept or len(spoken) == 1 else {}


def _verdicts_by_hand(members: Members, rows: dict[str, dict[str, Any]], spoken: dict[str, str]) -> list[dict[str, Any]]:
    """Copies with a label that a hand set are duplicates of its record, the others are label_conflict; what it kept stays."""
    given = []
    for key in members:
        label = rows[key]["label"]
        keeper = spoken.get(label)
        if key == keeper or rows[key]["override"] == "keep":
            continue
        other = keeper or next(iter(spoken.values()))
        reason = _reason(key, other, members, rows)
        if keeper is None:
            how = "kept by hand under" if rows[other]["override"] == "keep" else "relabelled by hand to"
            reason += f", which was {how} {rows[other]['label']!r}"
        verdict = "duplicate" if keeper else "label_conflict"
        given.append({"key": key, "verdict": verdict, "reason": reason, "kept_key": keeper})
    return given


def _strangeness(one: dict[str, Any], other: dict[str, Any]) -> tuple[bool, bool]:
    return one["sha256"] != other["sha256"], one["pixel_hash"] != other["pixel_hash"]


def _reason(key: str, other: str, members: Members, rows: dict[str, dict[str, Any]]) -> str:
    if rows[key]["sha256"] == rows[other]["sha256"]:
        return f"same bytes as {other}"
    if rows[key]["pixel_hash"] == rows[other]["pixel_hash"]:
        return f"same pixels as {other}"
    keeper = next(iter(members))
    near = members[key] if members[other] is None else members[other] if members[key] is None else None
    if near is None:
        return f"like {other} a near copy of {keeper}"
    turn = "" if near.transform == "none" else f"{near.transform}, "
    return f"near copy of {other} ({turn}agreement {near.agreement:.2f})"
