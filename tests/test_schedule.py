"""Durations, intervals, budgets and the decay."""

from itertools import accumulate, count

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wgan.errors import UsageError
from wgan.schedule import Budget, CriticSteps, Decay, Interval, read_seconds


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400), ("1h30m", 5400)])
def test_durations(text: str, value: float) -> None:
    assert read_seconds(text) == value


@pytest.mark.parametrize("text", ["", "90", "soon", "-5s", "0s", "5x", "1h30"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="90s, 10m, 2h"):
        read_seconds(text)


def test_intervals() -> None:
    assert Interval.read("50", 10, "--x") == Interval(steps=50)
    assert Interval.read("2epochs", 10.2, "--x") == Interval(steps=21)
    assert Interval.read("60s", 10, "--x") == Interval(seconds=60)


@pytest.mark.parametrize("text", ["0", "-1", "often", "1.5", "0epoch"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--x"):
        Interval.read(text, 10, "--x")


def test_early_steps_come_sooner() -> None:
    assert [step for step in range(101) if Interval(steps=40).due(step)] == [0, 1, 4, 16, 40, 80]
    assert not any(Interval(seconds=5).due(step) for step in range(100))


def test_a_budget_ends_at_its_first_limit() -> None:
    budget = Budget(steps=10, seconds=60)
    assert not budget.reached(9, 59.9)
    assert budget.reached(10, 0) and budget.reached(0, 60)
    assert budget.progress(5, 15) == 0.5


def test_the_decay_falls_in_a_line() -> None:
    decay = Decay(100, 200)
    assert [decay.factor(step) for step in (0, 100, 150, 199, 200, 300)] == pytest.approx([1, 1, 0.5, 0.01, 0, 0])


@pytest.mark.parametrize(
    ("steps", "wrong"),
    [
        ((0,), "critic_steps: 0 is too small; at least 1 is allowed"),
        ((5, 2, 0), "warmup_critic_steps: 0 is too small; at least 1 is allowed"),
        ((5, -1), "warmup_steps: -1 is too small; at least 0 is allowed"),
        ((5, 0.5), "warmup_steps: 0.5 is not a whole number"),
    ],
)
def test_a_generator_step_needs_a_critic_step(steps: tuple[int, ...], wrong: str) -> None:
    with pytest.raises(UsageError, match=f"^{wrong}"):
        CriticSteps(*steps)
    assert CriticSteps(1, 0, 0).before(0) == 1  # no warm-up


def test_generator_steps_are_as_many_as_show_all_batches() -> None:
    assert [CriticSteps(5).generator_steps(n) for n in (1, 5, 5.1, 10)] == [1, 1, 2, 2]
    warm = CriticSteps(5, warmup_steps=2)
    assert [warm.before(step) for step in (0, 1, 2, 100, 250, 499, 500)] == [100, 100, 5, 5, 5, 5, 100]
    assert [warm.generator_steps(n) for n in (1, 100, 101, 200, 205, 206)] == [1, 1, 2, 2, 3, 4]


def counted(moves: CriticSteps, batches: float) -> int:
    shown = accumulate((moves.before(step) for step in count()), initial=0)
    return next(steps for steps, batch in enumerate(shown) if batch >= batches)


@given(
    usual=st.integers(1, 12),
    warmup_steps=st.integers(0, 1600),
    warmup=st.integers(1, 150),
    batches=st.floats(0, 60_000),
)
@example(usual=5, warmup_steps=25, warmup=100, batches=2500 + 475 * 5 + 2 * 2595)  # where the third period ends
@example(usual=5, warmup_steps=500, warmup=100, batches=50_000)
@example(usual=7, warmup_steps=1, warmup=2, batches=7 * 499 + 2.5)
def test_generator_steps_are_those_that_one_counts(usual: int, warmup_steps: int, warmup: int, batches: float) -> None:
    moves = CriticSteps(usual, warmup_steps, warmup)
    assert moves.generator_steps(batches) == counted(moves, batches)


@pytest.mark.parametrize("batches", [1e12, 10**12 + 1, 1e15])
def test_generator_steps_of_any_budget_are_known_at_once(batches: float) -> None:
    steps = CriticSteps(5, warmup_steps=25).generator_steps(batches)
    before, after = (5 * n + 95 * (25 + (n - 1) // 500) for n in (steps - 1, steps))  # 25, and those at 500, 1000, ...
    assert before < batches <= after


def test_a_budget_that_nobody_reaches_is_one_all_the_same() -> None:
    assert CriticSteps(5, warmup_steps=25).generator_steps(1e25) > 1e18


def test_a_decay_without_length_falls_at_once() -> None:
    assert [Decay(5, 5).factor(step) for step in (0, 5, 6)] == [1.0, 1.0, 0.0]
