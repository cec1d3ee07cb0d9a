"""Trajectories in the plane."""

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from finetune.report.figures.function_space_map import embed_in_plane, thin_trajectories
from finetune.report.results.study import read_study
from finetune.runs.recorded_trajectory import RecordedTrajectory


def test_isomap_unrolls_an_arc_and_tsne_keeps_neighbours():
    """Points along three quarters of a circle: the geodesic distance is the angle, which Isomap's first axis shows."""
    angles = np.sort(np.random.default_rng(0).uniform(0, 1.5 * np.pi, 200))
    points = np.zeros((200, 30), dtype=np.float32)
    points[:, 3], points[:, 17] = np.cos(angles), np.sin(angles)
    planes = embed_in_plane(points)
    axis = planes["Isomap"][:, 0]
    assert abs(np.corrcoef(axis, angles)[0, 1]) > 0.999
    assert np.ptp(axis) == pytest.approx(np.ptp(angles), rel=0.02)
    assert trustworthiness(points, planes["t-SNE"], n_neighbors=5) > 0.99
    for name, again in embed_in_plane(points).items():
        assert np.array_equal(again, planes[name])


@pytest.mark.parametrize(("n_runs", "n_snapshots"), [(3, 50), (60, 50), (300, 9), (400, 2), (4, 700)])
def test_few_enough_points_with_every_start_and_end(study, n_runs, n_snapshots):
    for name in ("dbn", "he"):
        study.arm(name, [0.1] * (n_runs // 2 + n_runs % 2))
    outputs = np.zeros((n_snapshots, 1, 2), dtype=np.float32)
    runs = [(run, RecordedTrajectory(np.arange(n_snapshots) * 3, outputs)) for run in read_study(study.directory).runs]
    paths = thin_trajectories(runs)
    assert sum(len(path.epochs) for path in paths) <= 600
    assert sum(len(path.epochs) for path in paths) > (250 if n_snapshots * n_runs > 500 else 0)
    assert {path.run.name for path in paths} == {"dbn", "he"}
    for path in paths:
        assert (path.epochs[0], path.epochs[-1]) == (0, 3 * (n_snapshots - 1))
        assert len(path.epochs) == len(path.outputs) == len(set(path.epochs))
