"""The pages are made of the newest report; the report, the model and the data are what they say."""

from __future__ import annotations

import json
from itertools import islice

import pytest
from servers.proxy import Seen

from benchmarks.model import MANY, Fleet, Model
from benchmarks.page import filled, pages
from benchmarks.prices import READ, Requests, count
from benchmarks.report import Figure
from benchmarks.rounds import alternate, ratio
from benchmarks.shop import Shop


def test_the_pages_say_what_the_newest_report_does() -> None:
    stale = [path.name for path, text in pages().items() if path.read_text(encoding="utf-8") != text]

    assert stale == [], "python -m benchmarks.page"


def test_a_page_without_a_place_for_a_block_is_refused() -> None:
    assert filled("a\n<!-- table -->\nold\n<!-- end -->\nb", {"table": r"n\1w"}) == (
        "a\n<!-- table -->\n\nn\\1w\n<!-- end -->\nb"
    )
    with pytest.raises(ValueError, match="no place for plots"):
        filled("a", {"plots": ""})


@pytest.mark.parametrize(
    ("ratio_", "target", "is_least", "is_reached", "share"),
    [(2.0, 4.0, False, True, 0.5), (8.0, 4.0, False, False, 2.0), (20.0, 10.0, True, True, 0.5)],
)
def test_a_target_has_a_direction(
    ratio_: float, target: float, *, is_least: bool, is_reached: bool, share: float
) -> None:
    figure = Figure(what="a", against="b", ratio=ratio_, target=target, is_least=is_least)

    assert (figure.is_reached, figure.share) == (is_reached, share)
    assert figure.verdict.endswith("yes" if is_reached else "NO")


def test_a_figure_without_a_target_has_no_verdict() -> None:
    figure = Figure(what="a", against="b", ratio=1.0)

    assert (figure.is_reached, figure.share, figure.verdict) == (None, None, "")


def test_rounds_alternate_and_ratios_are_taken_within_a_round() -> None:
    order: list[str] = []
    took = alternate({"a": lambda: order.append("a") or 2.0, "b": lambda: order.append("b") or 1.0}, 3)

    assert order == ["a", "b", "b", "a", "a", "b"]
    assert ratio(took["a"], took["b"]) == 2.0


def test_requests_are_counted_by_what_they_cost() -> None:
    seen = [
        Seen("PUT", "/b/a", {}),
        Seen("GET", "/b?list-type=2&prefix=a", {}),
        Seen("GET", "/b/a", {}),
        Seen("DELETE", "/b/a", {}),
    ]

    assert count(seen) == Requests(1, 1, 1)
    assert count(seen).price == pytest.approx(2 * 5e-6 + 0.4e-6)


FACTS = {
    "writer_dollars_a_month idle": 0.3,
    "writer_dollars_a_month 1 change/min": 0.3 + 43_200 * 1e-5,
    "follower_dollars_a_month idle": 3_000_000 * READ,
    "log_bytes_per_change": 100.0,
    "snapshot_bytes_per_key": 50.0,
}


def test_the_model_is_arithmetic_that_can_be_done_by_hand() -> None:
    model, one = Model(FACTS), Fleet(groups=2, keys=1000, bursts=12, burst=1, years=10)

    assert one.changes_a_year == 3000
    assert model.writer_dollars_a_month(one) == pytest.approx(0.3 + 250 * 1e-5)
    assert model.follower_dollars_a_month(10) == pytest.approx((3_000_000 - 0.9 * 2_592_000) * READ)
    assert model.log_gb(one) == pytest.approx(2 * 3000 * 10 * 100 / 1e9)
    assert model.snapshots_gb(one) == pytest.approx(2 * 1000 * 50 * 3000 * 10 / 1e9)
    assert model.retained(MANY) < MANY.snapshots_a_year


def test_a_shop_is_the_same_for_the_same_seed() -> None:
    assert list(Shop(30).items()) == list(Shop(30).items())
    assert list(islice(Shop(30).changes(), 50)) == list(islice(Shop(30).changes(), 50))
    assert list(islice(Shop(30).changes(), 50)) != list(islice(Shop(30, seed=2).changes(), 50))


def test_a_shop_has_what_a_gateway_has_in_sizes_from_300_bytes_to_60_kb() -> None:
    sizes = [len(value) for _, value in Shop(5_000).items()]

    assert 200 < min(sizes) < 400
    assert 40_000 < max(sizes) < 60_000


def test_an_edit_leaves_most_of_an_item_as_it_was() -> None:
    shop = Shop(50)
    held = dict(shop.items())
    for key, value in islice(shop.changes(), 200):
        before, after = json.loads(held[key]), json.loads(value)
        assert after["update_time"] > before["update_time"]
        changed = {name for name in before if before[name] != after[name]} - {"update_time"}
        assert changed <= {"nodes", "plugins", "priority"}
        held[key] = value
