"""Painters of what stands out of the wall; a view is a box of the canvas, float32 [h, w, 3]."""

from __future__ import annotations

import numpy as np

from tfpix2pix.data.sample.looks import Looks
from tfpix2pix.data.sample.planes import band, bevel, ramp
from tfpix2pix.data.sample.textures import crop, noise

# Brightness of a stone profile from its upper edge to its lower one.
_PROFILE = np.array([1.12, 1.16, 1.0, 0.82, 0.95, 1.04, 0.9, 0.68], np.float32)


def _profile(h: int) -> np.ndarray:
    at = (np.arange(h) + 0.5) * len(_PROFILE) / h
    return _PROFILE[at.astype(int)][:, None, None]


def _paint_molding(view: np.ndarray, looks: Looks, u: list[float]) -> None:
    h, w = view.shape[:2]
    view[:] = looks.trim * _profile(h)
    if looks.dentils and h > 0.022 * looks.n:
        teeth = (np.arange(w) * 80 // looks.n) % 2 == 1
        band(view, 0.5, 0.8)[:, teeth] *= np.float32(0.6)


def _paint_cornice(view: np.ndarray, looks: Looks, u: list[float]) -> None:
    view[:] = looks.trim * _profile(len(view))
    view[:, :1] *= np.float32(0.85)
    view[:, -1:] *= np.float32(0.85)


def _paint_sill(view: np.ndarray, looks: Looks, u: list[float]) -> None:
    view[:] = looks.trim * ramp(len(view), 1.15, 0.85)[:, None, None]
    view[-1:] *= np.float32(0.72)


def _paint_blind(view: np.ndarray, looks: Looks, u: list[float]) -> None:
    """Slats in the paint of the house."""
    h = len(view)
    slats = 1.0 - 0.32 * ((np.arange(h) * 90 // looks.n) % 2).astype(np.float32)
    view[:] = looks.paint * (slats * np.float32(0.92 + 0.16 * u[0]))[:, None, None]
    bevel(view, looks)


def _paint_deco(view: np.ndarray, looks: Looks, u: list[float]) -> None:
    """A panel of trim with a relief of swellings."""
    h, w = view.shape[:2]
    n = looks.n
    relief = crop(noise(20, n, 32, 128), n, u[0], u[1])[:h, :w]
    mirror = relief + relief[:, ::-1]
    view[:] = looks.trim * (0.92 + 0.13 * mirror)[..., None]
    bevel(view, looks, light=1.2, dark=0.65)


def _paint_pillar(view: np.ndarray, looks: Looks, u: list[float]) -> None:
    """A shaft rounded by light from the sun's side, with capital and base."""
    h, w = view.shape[:2]
    x = ramp(w, -1, 1) * looks.sun
    shade = 1.08 - 0.28 * (x + 0.35) ** 2
    if looks.fluted and w > 5:
        shade = shade * (1 - 0.18 * (np.arange(w) % 3 == 1))
    view[:] = looks.trim * shade.astype(np.float32)[:, None]
    size = max(1, min(h // 6, int(1.2 * w)))
    view[:size] = looks.trim * _profile(size)
    view[-size:] = looks.trim * _profile(size)


def _paint_balcony(view: np.ndarray, looks: Looks, u: list[float]) -> None:
    """A slab with a railing, behind which the wall shows, or with a solid front."""
    h, n = len(view), looks.n
    if looks.solid_balcony:
        view[:] = looks.trim * ramp(h, 1.05, 0.88)[:, None, None]
        inner = view[max(1, h // 6) : -max(1, h // 4), 2:-2]
        if inner.size:
            bevel(inner, looks, light=0.8, dark=1.12)
    else:
        view *= np.float32(0.72)
        pitch = max(3, round(0.0135 * n))
        view[:, ::pitch] = looks.railing
        view[:, -1:] = looks.railing
        rail = max(1, round(0.005 * n))
        view[:rail] = looks.railing * np.float32(1.15)
    slab = band(view, 0.82, 1.0)
    slab[:] = looks.trim * ramp(len(slab), 1.0, 0.7)[:, None, None]


RELIEF_PAINTERS = {
    "blind": _paint_blind,
    "balcony": _paint_balcony,
    "cornice": _paint_cornice,
    "deco": _paint_deco,
    "molding": _paint_molding,
    "pillar": _paint_pillar,
    "sill": _paint_sill,
}
