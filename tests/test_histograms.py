"""Two histograms on the command line: closed forms, SciPy, a linear program, and one sentence for each mistake."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, wasserstein_distance

from wgan.errors import UsageError
from wgan.histograms import compare_histograms

Told = Callable[..., tuple[int, str, str]]
KEYS = [
    *("total_variation", "kl_a_b", "kl_b_a", "cross_entropy_a_b", "cross_entropy_b_a", "jensen_shannon"),
    *("earth_mover", "ground", "bins_a", "bins_b", "counts_a", "counts_b"),
]
OF_SAME_BINS = KEYS[:6]


def answered(told: Told, *arguments: object) -> dict[str, Any]:
    code, out, err = told(*arguments, "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)

    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    found: dict[str, Any] = json.loads(out, parse_constant=no_constant)
    assert list(found) == KEYS
    return found


def test_counts_are_answered_in_all_ways_at_once(told: Told) -> None:
    p, q = np.array([3, 5, 10]) / 18, np.array([1, 1, 16]) / 18
    expected = {
        "total_variation": 6 / 18,
        "kl_a_b": entropy(p, q),
        "kl_b_a": entropy(q, p),
        "cross_entropy_a_b": entropy(p) + entropy(p, q),
        "cross_entropy_b_a": entropy(q) + entropy(q, p),
        "jensen_shannon": jensenshannon(p, q) ** 2,
        "earth_mover": 8 / 18,
    }
    found = answered(told, "3,5,10", "1,1,16", "--histograms")
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12)
    assert [found[name] for name in KEYS[7:]] == ["line", 3, 3, 18, 18]
    assert told("3,5,10", "1,1,16", "--histograms")[1].splitlines() == [
        "total variation    0.333 (at most 1)",
        "KL(A || B)         0.369 nats",
        "KL(B || A)         0.267 nats",
        "cross entropy      1.35 nats where B is expected and A is drawn, 0.693 nats the other way round",
        "Jensen-Shannon     0.0744 nats (at most 0.693)",
        "earth mover        0.444, on the line, positions 0, 1, 2, ...",
        "histograms         A has 18 counts in 3 bins, B has 18 counts in 3 bins; counts are divided by their sum",
    ]


def test_counts_and_their_probabilities_are_the_same_wherever_they_are(told: Told) -> None:
    counts, others = np.array([200, 5, 255, 40], np.uint8), np.array([1, 2, 3, 2])
    np.save("a.npy", counts)
    np.savez("b.NPZ", hits=others)
    Path("b.NPZ.npz").rename("b.NPZ")
    np.save("p.npy", (counts / 500).astype(np.float32))
    found = answered(told, "a.npy", "b.NPZ", "--histograms")
    assert (found["counts_a"], found["counts_b"]) == (500, 8)
    mixed = answered(told, "p.npy", "1.0,2e0,3,2", "--histograms")
    assert (mixed["counts_a"], mixed["counts_b"]) == (None, 8)
    alone = answered(told, "p.npy", "0.125,0.25,0.375,0.25", "--histograms")
    assert (alone["counts_a"], alone["counts_b"]) == (None, None)
    for other in (mixed, alone):
        assert [found[name] for name in KEYS[:7]] == pytest.approx([other[name] for name in KEYS[:7]], rel=1e-6)
    assert (
        "A has probabilities in 4 bins, B has 8 counts in 4 bins; counts are divided by their sum"
        in told("p.npy", "b.NPZ", "--histograms")[1]
    )
    assert told("p.npy", "p.npy", "--histograms")[1].endswith("B has probabilities in 4 bins\n")


def test_disjoint_supports(told: Told) -> None:
    found = answered(told, "1,1,0,0", "0,0,1,1", "--histograms")
    assert found["total_variation"] == 1 and found["jensen_shannon"] == pytest.approx(math.log(2))
    assert [found[name] for name in OF_SAME_BINS[1:5]] == ["infinite"] * 4
    assert found["earth_mover"] == pytest.approx(2)


def test_what_is_infinite_one_way_alone(told: Told) -> None:
    found = answered(told, "1,1", "1,0", "--histograms")
    assert (found["kl_a_b"], found["cross_entropy_a_b"]) == ("infinite", "infinite")
    assert (found["kl_b_a"], found["cross_entropy_b_a"]) == (pytest.approx(math.log(2)), pytest.approx(math.log(2)))
    out = told("1,1", "1,0", "--histograms")[1]
    assert "\nKL(A || B)         infinite: B is 0 in a bin in which A is not\nKL(B || A)         0.693 nats\n" in out
    assert "infinite where B is expected and A is drawn, 0.693 nats the other way round" in out
    assert "KL(B || A)         infinite: A is 0 in a bin in which B is not" in told("1,0", "1,1", "--histograms")[1]


def test_a_permutation_is_told_from_the_same(told: Told) -> None:
    """Which samples could not be; but to permute both, and the positions, changes nothing."""
    draw = np.random.default_rng(0)
    p, order = draw.dirichlet(np.ones(20)), draw.permutation(20)
    q, at = p[order], draw.normal(size=20)
    np.save("p.npy", p)
    np.save("q.npy", q)
    found = answered(told, "p.npy", "q.npy", "--histograms")
    assert found["total_variation"] == pytest.approx(np.abs(p - q).sum() / 2) != 0
    assert found["earth_mover"] == pytest.approx(np.abs(np.cumsum(p - q)).sum())
    here, there = compare_histograms(p, q, positions=at), compare_histograms(p[order], q[order], positions=at[order])
    assert [getattr(here, name) for name in KEYS[:7]] == pytest.approx([getattr(there, name) for name in KEYS[:7]])
    assert answered(told, "p.npy", "p.npy", "--histograms") | dict.fromkeys(KEYS[3:5]) == {
        **dict.fromkeys(KEYS[:3], 0), **dict.fromkeys(KEYS[3:5]), **dict.fromkeys(KEYS[5:7], 0),
        **dict.fromkeys(KEYS[10:]), "ground": "line", "bins_a": 20, "bins_b": 20,
    }  # fmt: skip


@pytest.mark.parametrize("words", [["--positions", "-1,2.5,3"], ["--positions=-1,2.5,3"], ["--positions", "at.npy"]])
def test_positions_say_where_bins_are_and_that_these_are_histograms(words: list[str], told: Told) -> None:
    np.save("at.npy", [-1, 2.5, 3])
    found = answered(told, "1,0,0", "0,1,3", *words)
    expected = wasserstein_distance([-1, 2.5, 3], [-1, 2.5, 3], [1, 0, 0], [0, 1, 3])
    assert (found["earth_mover"], found["ground"]) == (pytest.approx(expected), "line")
    assert "3.88, on the line, in units of the positions" in told("1,0,0", "0,1,3", *words)[1]


def test_a_cost_is_solved_as_a_linear_program_even_of_different_bins(told: Told) -> None:
    draw = np.random.default_rng(0)
    for k, m in ((4, 4), (3, 5)):
        p, q, cost = draw.dirichlet(np.ones(k)), draw.dirichlet(np.ones(m)), draw.random((k, m))
        for name, array in (("p", p), ("q", q), ("c", cost)):
            np.save(name, array)
        ends = np.vstack([np.kron(np.eye(k), np.ones(m)), np.kron(np.ones(k), np.eye(m))])
        solved = linprog(cost.ravel(), A_eq=ends, b_eq=np.concatenate([p, q]))
        found = answered(told, "p.npy", "q.npy", "--cost", "c.npy")
        assert (found["earth_mover"], found["ground"]) == (pytest.approx(solved.fun, abs=1e-6), "cost")
        assert (found["bins_a"], found["bins_b"]) == (k, m)
        same = {"total_variation": np.abs(p - q).sum() / 2, "kl_a_b": entropy(p, q)} if k == m else {}
        assert {name: found[name] for name in same} == pytest.approx(same)
        assert [found[name] is None for name in OF_SAME_BINS] == [k != m] * 6
        out = told("p.npy", "q.npy", "--cost", "c.npy")[1].splitlines()
        assert out[-2].endswith(", in units of the cost") and len(out) == (7 if k == m else 3)
    assert (
        out[0] == "all others         none: they hold the same bins against each other, and A and B have different ones"
    )
    assert out[2] == "histograms         A has probabilities in 3 bins, B has probabilities in 5 bins"


def test_bins_on_a_grid_have_an_earth_mover_s_distance_only_with_a_cost(told: Told) -> None:
    """All counts move one row down, by 1."""
    a, b = np.zeros((2, 4, 4), np.int64)
    a[0] = b[1] = 7
    at = np.argwhere(np.ones((4, 4)))
    for name, array in (("a", a), ("b", b), ("c", np.linalg.norm(at[:, None] - at, axis=2))):
        np.save(name, array)
    found = answered(told, "a.npy", "b.npy", "--histograms")
    assert (found["earth_mover"], found["ground"], found["total_variation"]) == (None, None, 1)
    assert (found["bins_a"], found["counts_a"]) == (16, 28)
    out = told("a.npy", "b.npy", "--histograms")[1]
    assert "\nearth mover        give --cost, of shape (16, 16): bins on several axes are not on one line\n" in out
    found = answered(told, "a.npy", "b.npy", "--cost", "c.npy")
    assert (found["earth_mover"], found["ground"], found["total_variation"]) == (pytest.approx(1), "cost", 1)
    np.save("b.npy", b.reshape(2, 8))
    code, out, err = told("a.npy", "b.npy", "--histograms")
    assert (code, out) == (2, "") and "A has bins of shape (4, 4) and B of shape (2, 8), but both must have" in err


REFUSED = [
    "--method exact",
    "--method tv",
    "--samples 50",
    "--split train",
    "--time 5s",
    "--steps 5",
    "--null",
    "--seed 7",
    "--size 8",
    "--channels 1",
    "--fit crop",
    "--value-range 0,1",
    "--held-out 0.1",
    "--data-dir .",
    "--follow-links",
    "--download",
]


@pytest.mark.parametrize("form", [["--histograms"], ["--positions", "0,1"], ["--cost", "c.npy"]], ids=lambda f: f[0])
@pytest.mark.parametrize("given", REFUSED)
def test_flags_for_samples_are_refused(given: str, form: list[str], told: Told) -> None:
    name, *values = given.split()
    code, out, err = told("1,2", "2,1", *form, name, *values)
    assert (code, out, err) == (2, "", f"wgan: {name}: that is for samples, and histograms have none; leave it out.\n")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["1,2", "1,2,3", "--histograms"], 2, "A has bins of shape (2,) and B of shape (3,), but both must have the"),
        (["1,2", "0.5,0.6", "--histograms"], 2, "B sums to 1.1, but probabilities sum to 1; divide them by their sum"),
        (["1,-2", "1,2", "--histograms"], 2, "some numbers of A are negative, and counts and probabilities are not."),
        (["1,2", "0,0", "--histograms"], 2, "B has no number above 0; at least one must be."),
        (["nan,1", "1,2", "--histograms"], 2, "some numbers of A are NaN or infinite"),
        (["inf,1", "1,2", "--histograms"], 2, "some numbers of A are NaN or infinite"),
        (
            ["1,2", "1,x", "--histograms"],
            2,
            "B: '1,x' has no numbers that can be read; give a .npy or .npz file, or num",
        ),
        (["1,2", "x", "--histograms"], 2, "B: 'x' has no numbers that can be read"),
        (["1,2,", "1,2", "--histograms"], 2, "A: '1,2,' has no numbers that can be read"),
        (["1_0,2", "1,2", "--histograms"], 2, "A: '1_0,2' has no numbers that can be read"),
        (["no.npy", "1,2", "--histograms"], 2, "A: there is no file no.npy"),
        (["words.npy", "1,2", "--histograms"], 2, "the numbers of A are an array of <U1"),
        (["two.npz", "1,2", "--histograms"], 1, "two.npz holds arrays p, q, and which one to take is not known"),
        (["cut.npy", "1,2", "--histograms"], 1, "cut.npy cannot be read"),
        (["cut.npz", "1,2", "--histograms"], 1, "cut.npz cannot be read"),
        (
            ["1,2", "1,2", "--positions", "1,2,3"],
            2,
            "the positions have shape (3,), but they must have (2,), one for each point.",
        ),
        (["1,2", "1,2", "--positions", "1,nan"], 2, "some positions are NaN or infinite"),
        (["1,2", "1,2", "--positions", "x"], 2, "--positions: 'x' has no numbers"),
        (
            ["1,2", "1,2", "--positions", "0,1", "--cost", "c.npy"],
            2,
            "--positions: they say what it costs to move, and",
        ),
        (
            ["grid.npy", "grid.npy", "--positions", "0,1"],
            2,
            "--positions: they are for bins on one axis, and these are",
        ),
        (
            ["1,2", "1,2", "--cost", "1,2"],
            2,
            "--cost: '1,2' has no numbers that can be read; give a .npy or .npz file w",
        ),
        (["1,2", "1,2", "--cost", "no.npy"], 2, "--cost: there is no file no.npy"),
        (["1,2", "1,2,3", "--cost", "c.npy"], 2, "the costs have shape (2, 2), but they must have shape (2, 3)"),
        (["1,2", "2,1"], 2, "Numbers with commas are histograms: wgan distance A B --histograms."),
        (["0.5,0.5", "2e-1,.8"], 2, "Numbers with commas are histograms: wgan distance A B --histograms."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_gets_one_clear_line(arguments: list[str], code: int, words: str, told: Told) -> None:
    np.save("words.npy", ["a", "b"])
    np.save("grid.npy", np.ones((2, 2)))
    np.save("c.npy", np.ones((2, 2)))
    np.savez("two.npz", p=[1, 2], q=[1, 2])
    Path("cut.npy").write_bytes(Path("c.npy").read_bytes()[:-8])
    Path("cut.npz").write_bytes(Path("two.npz").read_bytes()[:50])
    found, out, err = told(*arguments)
    assert (found, out, err.count("\n")) == (code, "", 1) and err.startswith("wgan: ") and words in err


def test_arrays_of_python_are_compared_too() -> None:
    found = compare_histograms([[1, 1], [2, 0]], np.full((2, 2), 0.25))
    assert found.total_variation == pytest.approx(0.25) and (found.counts_a, found.counts_b) == (4, None)
    with pytest.raises(UsageError, match=r"^the positions are a str"):
        compare_histograms([1, 2], [2, 1], positions="x")
    with pytest.raises(UsageError, match=r"^the probabilities A have values up to"):
        compare_histograms([1e308, 1e308], [2, 1])
