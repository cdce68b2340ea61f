"""A discriminator that has stopped to say anything is reported, once."""

from __future__ import annotations

import pytest

from tfpix2pix.algorithms.watch import DiscriminatorWatch, LatentWatch

HEALTHY = {"real": 0.7, "fake": 0.3}
WON = {"real": 0.999, "fake": 0.001}
ONES = {"real": 0.999, "fake": 0.999}
ZEROS = {"real": 0.001, "fake": 0.001}


@pytest.fixture
def watch() -> DiscriminatorWatch:
    return DiscriminatorWatch(patience=100)


def news(watch, means, steps) -> list[str]:
    """What the watch says while the means stay the same."""
    return [text for step in steps if (text := watch(step, means))]


def test_a_healthy_one_is_not_reported(watch):
    assert news(watch, HEALTHY, range(0, 1000, 10)) == []


def test_one_that_has_won_is_reported_once(watch):
    (said,) = news(watch, WON, range(0, 1000, 10))
    assert "tells every generated patch from a real one" in said
    assert "D(real) 0.999, D(fake) 0.001, for 100 steps" in said


@pytest.mark.parametrize("means", [ONES, ZEROS], ids=["ones", "zeros"])
def test_one_that_says_the_same_to_everything_is_reported_once(watch, means):
    (said,) = news(watch, means, range(0, 1000, 10))
    assert "same answer to everything" in said
    assert "smaller --learning_rate" in said


def test_it_waits_for_its_patience(watch):
    assert news(watch, WON, range(0, 100, 10)) == []
    assert watch(100, WON)


def test_one_that_recovers_in_time_is_not_reported(watch):
    assert news(watch, WON, range(0, 100, 10)) == []
    assert watch(100, HEALTHY) is None
    assert news(watch, WON, range(110, 210, 10)) == []


def test_after_a_recovery_it_is_reported_anew(watch):
    assert len(news(watch, WON, range(0, 300, 10))) == 1
    assert watch(300, HEALTHY) is None
    assert len(news(watch, WON, range(310, 600, 10))) == 1


def test_another_state_is_reported_too(watch):
    assert len(news(watch, WON, range(0, 300, 10))) == 1
    assert len(news(watch, ZEROS, range(300, 600, 10))) == 1


def test_the_margin_is_the_border():
    watch = DiscriminatorWatch(patience=0, margin=0.1)
    assert watch(1, {"real": 0.89, "fake": 0.05}) is None
    assert watch(2, {"real": 0.91, "fake": 0.09})


# === A latent that nothing depends on ===

WELL = {"kl": 3.0, "recovered": 0.6}


@pytest.fixture
def of_latent() -> LatentWatch:
    return LatentWatch(patience=100)


def test_a_latent_that_says_something_is_not_reported(of_latent):
    assert news(of_latent, WELL, range(0, 1000, 10)) == []
    assert news(of_latent, {"kl": 3.0}, range(1000, 2000, 10)) == []
    assert news(of_latent, {}, range(2000, 3000, 10)) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kl": 0.004}, "the encoder says nothing of its targets (KL 0.004 nats, for 100 steps)"),
        ({"recovered": -0.01}, "cannot be told from what is made of them (recovered -0.010 of 1"),
        ({"kl": 0.0, "recovered": 0.0}, "the encoder says nothing"),
    ],
)
def test_one_that_is_ignored_is_reported_once(changes, words, of_latent):
    (said,) = news(of_latent, {**WELL, **changes}, range(0, 1000, 10))
    assert words in said


def test_a_latent_that_begins_so_has_its_time(of_latent):
    assert news(of_latent, {**WELL, "kl": 0.0}, range(0, 100, 10)) == []
    assert news(of_latent, WELL, range(100, 300, 10)) == []
