"""Pulse sequences: timing of each weighting at 1.5 and 3 T, and the signal they give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sifdetect.anatomy import MrWeighting
from sifdetect.synth.mr_tissue import Relaxation
from sifdetect.synth.noise import Array


@dataclass(frozen=True)
class Sequence:
    """A spin-echo pulse sequence.

    Attributes:
        te_ms: effective echo time.
        ti_ms: inversion time, 0 without inversion.
        fat_left: share of the fat signal that a suppression or separation leaves, 0–1.
        water_left: the same for water; 0 in a Dixon fat image.
        fails: field offset, in units of its standard deviation, at which half of the fat comes
            back; infinite where no suppression can fail.
        echo_train: echoes for each excitation.
        inversion: efficiency of the inversion pulse, 0–1.
    """

    weighting: MrWeighting
    tr_ms: float
    te_ms: float
    ti_ms: float
    fat_left: float
    water_left: float = 1.0
    fails: float = float("inf")
    echo_train: int = 1
    field_t: float = 1.5
    inversion: float = 1.0

    @staticmethod
    def sample(
        rng: np.random.Generator, weighting: MrWeighting, *, field_t: float = 1.5
    ) -> Sequence:
        """Draw plausible timing; ``OTHER`` is a Dixon fat image.

        The inversion time of clinical protocols, 120–200 ms at 1.5 T and 175–260 ms at 3 T, lies
        below the null of fat more often than at it; what remains then adds to the water.
        """
        high = (field_t - 1.5) / 1.5
        t1, long = MrWeighting.T1, rng.uniform(3000, 6000)
        echo = {
            MrWeighting.STIR: rng.uniform(35, 90),
            t1: rng.uniform(8, 18),
            MrWeighting.T2: rng.uniform(75, 115),
        }.get(weighting, rng.uniform(45, 90))
        inverted = weighting is MrWeighting.STIR
        ti = rng.normal(154, 18) + high * 55
        dixon = weighting in (MrWeighting.DIXON_WATER, MrWeighting.OTHER)
        left = float(rng.uniform(0.0, 0.05)) if dixon else float(rng.beta(1.2, 10))
        suppressed = dixon or weighting is MrWeighting.T2_FATSAT
        return Sequence(
            weighting=weighting,
            tr_ms=float(rng.uniform(450, 750) + 100 * high if weighting is t1 else long),
            te_ms=float(echo),
            ti_ms=float(np.clip(ti, 120, 275)) if inverted else 0.0,
            fat_left=left if suppressed and weighting is not MrWeighting.OTHER else 1.0,
            water_left=left if weighting is MrWeighting.OTHER else 1.0,
            fails=float(rng.uniform(1.2, 3.5)) if weighting is MrWeighting.T2_FATSAT else np.inf,
            echo_train=int(rng.integers(1, 4) if weighting is t1 else rng.integers(7, 24)),
            field_t=field_t,
            inversion=float(rng.uniform(0.94, 1.0)),
        )


def spin_echo(t1_ms: Array, t2_ms: Array, density: Array, sequence: Sequence) -> Array:
    """Magnitude of a spin echo, with inversion where ``ti_ms`` > 0 (Bernstein 2004, ch. 14)."""
    return np.abs(signed_echo(Relaxation(t1_ms, t2_ms, density), sequence))


def signed_echo(matter: Relaxation, sequence: Sequence) -> Array:
    """Signal of an echo at ``te_ms``; negative what an inversion has not yet brought back.

    ρ · (1 - (1 + η) exp(-TI/T1) + η exp(-TR/T1)) · exp(-TE/T2), with η the inversion's efficiency;
    ρ · (1 - exp(-TR/T1)) · exp(-TE/T2) without one (Bernstein 2004, ch. 14).
    """
    full = np.exp(-sequence.tr_ms / matter.t1_ms)
    recovery = 1 - full
    if sequence.ti_ms > 0:
        tipped = (1 + sequence.inversion) * np.exp(-sequence.ti_ms / matter.t1_ms)
        recovery = 1 - tipped + sequence.inversion * full
    return np.asarray(
        matter.density * recovery * np.exp(-sequence.te_ms / matter.t2_ms), dtype=np.float32
    )
