"""A discriminator that has stopped to say anything is reported, once."""

from __future__ import annotations

import pytest

from tfpix2pix.algorithms.configs.pix2pix import Pix2PixConfig
from tfpix2pix.algorithms.pix2pix import Pix2Pix
from tfpix2pix.algorithms.watch import DiscriminatorWatch, EncoderWatch

HEALTHY = {"real": 0.7, "fake": 0.3}
WON = {"real": 0.999, "fake": 0.001}
ONES = {"real": 0.999, "fake": 0.999}
ZEROS = {"real": 0.001, "fake": 0.001}


@pytest.fixture
def watch() -> DiscriminatorWatch:
    return DiscriminatorWatch("vanilla", "the L1 term still trains", patience=100)


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


@pytest.mark.parametrize(("gan_loss", "margin"), [("vanilla", 0.01), ("lsgan", 0.05)])
def test_the_border_is_further_off_where_nothing_saturates(gan_loss, margin):
    watch = DiscriminatorWatch(gan_loss, "the rest trains", patience=0)
    for beyond, found in ((-0.001, True), (0.001, False)):
        means = {"real": 1 - margin - beyond, "fake": margin + beyond}
        assert bool(watch(1, means)) == found


def test_every_algorithm_has_the_border_of_its_loss():
    config = Pix2PixConfig(
        crop_size=32, load_size=32, ngf=1, ndf=1, receptive_field=16, gan_loss="lsgan"
    )
    judged = {"discriminator": {"real": 0.96, "fake": 0.04}}
    watch = Pix2Pix(config).watch
    assert watch(0, judged) is None
    assert "tells every generated patch from a real one" in str(watch(1000, judged))


# === An encoder that says nothing ===


def test_an_encoder_that_says_nothing_is_reported_once_with_advice():
    watch = EncoderWatch("a smaller weight", patience=100)
    (said,) = news(watch, {"kl": 0.004}, range(0, 1000, 10))
    assert said.endswith(
        "(KL 0.004 nats, for 100 steps), so the latent is ignored: a smaller weight"
    )


def test_one_that_begins_so_has_its_time():
    watch = EncoderWatch("", patience=100)
    assert news(watch, {"kl": 0.0}, range(0, 100, 10)) == []
    assert news(watch, {"kl": 3.0}, range(100, 1000, 10)) == []
