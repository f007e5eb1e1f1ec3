"""Graph and cloud of the report: everything inside the picture, text escaped, strong lines over weak ones."""

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from training.report.charts import nice_scale
from training.report.diagrams import HIGH, WIDE, Edge, Node, Point, cloud, ring


def parsed(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(markup)


@given(st.integers(1, 14), st.floats(-2, 2))
def test_nodes_stay_inside_and_each_has_its_name(count: int, weight: float) -> None:
    nodes = [Node(f"d{number}<", weight, "t") for number in range(count)]
    picture = parsed(ring(nodes, [], "alt"))
    names = [text.text for text in picture.iter("text")]
    assert names == [node.name for node in nodes]
    for circle in picture.iter("circle"):
        x, y, radius = (float(circle.attrib[name]) for name in ("cx", "cy", "r"))
        assert radius <= x <= WIDE - radius
        assert radius <= y <= HIGH - radius


def test_the_strongest_line_is_drawn_last_and_doubt_is_dashed() -> None:
    nodes = [Node(name, 0.5, name) for name in "abc"]
    edges = [Edge("a", "b", -1.0, True, "strong"), Edge("b", "c", 0.1, False, "weak")]
    lines = list(parsed(ring(nodes, edges, "alt")).iter("line"))
    assert [line.findtext("title") for line in lines] == ["weak", "strong"]
    assert "open" in lines[0].attrib["class"]
    assert "loss" in lines[1].attrib["class"]
    assert float(lines[0].attrib["stroke-width"]) < float(lines[1].attrib["stroke-width"])


def test_points_lie_where_their_numbers_are() -> None:
    scale = nice_scale(-1.0, 1.0, 4)
    points = [Point(0.0, {"mean": value, "low": value - 0.1, "high": value + 0.1}, "learner", "<p>") for value in (-0.5, 0.5)]
    picture = cloud(points, scale, scale, ("x", "y"), [f"{tick:g}" for tick in scale.ticks], "alt")
    low, high = (float(circle.attrib["cy"]) for circle in parsed(picture).iter("circle"))
    assert low > high
    assert not re.search("<p>", picture)
