"""Varied windows are windows that could have been recorded."""

import numpy as np
import pytest

from edgenode.tasks.activity import variation
from edgenode.tasks.activity.windows import LENGTH


def windows(count=16, seed=1):
    return np.random.default_rng(seed).normal(0, 1, (count, LENGTH, 6)).astype(np.float32)


def generator(seed=2):
    return np.random.default_rng(seed)


def test_shape_and_type_stay_and_the_given_windows_are_not_changed():
    x = windows()
    before = x.copy()
    varied = variation.vary(x, generator())
    assert varied.shape == x.shape
    assert varied.dtype == np.float32
    assert np.array_equal(x, before)
    assert not np.allclose(varied, x)


def test_the_same_seed_gives_the_same_variation():
    one, other = (variation.vary(windows(), generator(7)) for _ in range(2))
    assert np.array_equal(one, other)


def test_about_half_of_the_windows_change_arms_and_change_back():
    class All:
        def random(self, count):
            return np.zeros(count)

    x = windows(400)
    mirrored = variation.mirror(x, generator())
    changed = (mirrored != x).any(axis=(1, 2))
    assert 140 < changed.sum() < 260
    assert np.array_equal(variation.mirror(variation.mirror(x, All()), All()), x)


def test_a_mirrored_rotation_is_the_rotation_seen_in_the_mirror():
    # Rate × arm = speed must hold in the mirror too, whatever the vectors.
    class All:
        def random(self, count):
            return np.zeros(count)

    x = windows(3)
    speed = np.cross(x[..., 3:], x[..., :3])
    seen = variation.mirror(x, All())
    mirror = np.array([-1, 1, 1])
    assert np.allclose(np.cross(seen[..., 3:], seen[..., :3]), speed * mirror, atol=1e-5)


def test_rotations_are_proper_and_of_the_stated_spread():
    matrices = variation.rotations(2000, generator()).astype(np.float64)
    assert np.allclose(matrices @ matrices.transpose(0, 2, 1), np.eye(3), atol=1e-5)
    assert np.allclose(np.linalg.det(matrices), 1, atol=1e-5)
    angles = np.arccos(np.clip((np.trace(matrices, axis1=1, axis2=2) - 1) / 2, -1, 1))
    # Root mean square of three independent angles.
    assert np.sqrt((angles**2).mean()) == pytest.approx(np.sqrt(3) * variation.ROTATION, rel=0.1)


def test_a_rotation_keeps_the_lengths_of_acceleration_and_rate_and_the_angle_between_them():
    x = windows()
    turned = variation.rotate(x, generator())
    for axes in (slice(0, 3), slice(3, 6)):
        before, after = (np.linalg.norm(w[..., axes], axis=-1) for w in (x, turned))
        assert np.allclose(before, after, atol=1e-4)
    before, after = ((w[..., :3] * w[..., 3:]).sum(axis=-1) for w in (x, turned))
    assert np.allclose(before, after, atol=1e-3)


def test_a_change_of_pace_moves_a_tone_by_its_factor_and_scales_the_rate():
    class Faster:
        def uniform(self, low, high, size):
            return np.full(size, high)

        def normal(self, mean, deviation, size):
            return np.zeros(size)

    time = np.arange(LENGTH) - (LENGTH - 1) / 2
    tone = np.sin(0.1 * time)[None, :, None].repeat(6, axis=2).astype(np.float32)
    faster = variation.change_pace(tone, Faster())
    factor = np.exp(variation.PACE)
    inside = slice(LENGTH // 5, -LENGTH // 5)
    expected = np.sin(0.1 * factor * time)
    assert np.abs(faster[0, :, 0] - expected)[inside].max() < 0.01
    assert np.abs(faster[0, :, 5] - factor * expected)[inside].max() < 0.01


@pytest.mark.parametrize("end", ["low", "high"])
def test_no_sample_comes_from_outside_of_the_window(end):
    class Extreme:
        def uniform(self, low, high, size):
            return np.full(size, low if end == "low" else high)

        def normal(self, mean, deviation, size):
            return np.zeros(size)

    ramp = np.arange(LENGTH, dtype=np.float32)[None, :, None].repeat(6, axis=2)
    stretched = variation.change_pace(ramp, Extreme())[..., :3]
    assert stretched.min() >= 0
    assert stretched.max() <= LENGTH - 1
