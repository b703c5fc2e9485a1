"""Which process ends where: every point has its turn, and the same seed draws the same."""

from __future__ import annotations

from faults.plans import POINTS, POINTS_OF, Action, Deck, Plan, Role


def _play(deck: Deck, lives: int) -> list[Plan]:
    """Draw as many plans, each struck at the first point that it is armed for."""
    drawn = []
    roles: tuple[Role, Role] = ("serve", "work")
    for number in range(lives):
        plan = deck.draw(roles[number % 2])
        deck.note(next(iter(plan.armed)), plan.action)
        drawn.append(plan)
    return drawn


def test_every_point_belongs_to_one_role() -> None:
    assert sorted(POINTS_OF["serve"] + POINTS_OF["work"]) == sorted(POINTS)


def test_every_point_has_its_turn() -> None:
    deck = Deck(seed=1)

    _play(deck, 20 * 2 * len(POINTS))

    assert deck.fewest >= 20


def test_the_same_seed_draws_the_same_plans() -> None:
    assert _play(Deck(seed=7, freezes=0.5), 100) == _play(Deck(seed=7, freezes=0.5), 100)


def test_another_seed_draws_other_plans() -> None:
    assert _play(Deck(seed=7), 100) != _play(Deck(seed=8), 100)


def test_the_share_of_freezes_is_kept() -> None:
    deck = Deck(seed=3, freezes=0.5)

    _play(deck, 400)

    counted: dict[Action, int] = {"kill": deck.count("kill"), "freeze": deck.count("freeze")}
    assert min(counted.values()) > 100


def test_a_point_that_is_far_ahead_is_struck_late() -> None:
    deck = Deck(seed=5)
    for point in POINTS_OF["serve"]:
        for _ in range(200):
            deck.note(point, "kill")

    latest = max(hit for _ in range(50) for hit in deck.draw("serve").armed.values())

    assert latest > 100


def test_the_rarest_point_is_waited_for_in_every_life_until_it_is_ahead() -> None:
    deck = Deck(seed=9)
    for _ in range(20):
        assert deck.draw("work").armed["reply:found"] == 1
    deck.note("reply:found", "kill")

    waiting = [plan for plan in (deck.draw("work") for _ in range(20)) if _waits(plan)]

    assert len(waiting) < 20


def _waits(plan: Plan) -> bool:
    return "reply:found" in plan.armed
