from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import mean_absolute_error
from sklearn.preprocessing import StandardScaler

from benchmarks import data
from benchmarks.loop import loop, regressor, windows
from benchmarks.peers import PEERS, Peer, Sizes
from benchmarks.peers.run import PYTHON, Told, check, command, expected_work, read

ROOT = Path(__file__).parents[1]
ROWS, WINDOW = 2_500, 1_000
"""The last window has half the rows."""
SAME = Peer("a_peer", {})
OTHER = Peer("another", {}, same_model=False)
RUNS = [(name, learner) for name, peer in PEERS.items() for learner in peer.sizes]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("peers") / "rows.parquet"
    data.write(path, ROWS)
    return path


def plain(file: Path, learner: str) -> Told:
    """The work by hand, in arrays: every window but the first by the model of the one before."""
    table = pq.read_table(file)
    features = np.column_stack([table[name] for name in data.FEATURES])
    target = table["y"].to_numpy()
    predicted = np.empty_like(target)
    for low in range(0, ROWS - WINDOW, WINDOW):
        window, after = slice(low, low + WINDOW), slice(low + WINDOW, low + 2 * WINDOW)
        scaler = StandardScaler().fit(features[window])
        model = regressor(learner).fit(scaler.transform(features[window]), target[window])
        predicted[after] = model.predict(scaler.transform(features[after]))
    mae = float(mean_absolute_error(target[WINDOW:], predicted[WINDOW:]))
    return Told(rows=2_500, scored=1_500, windows=3, mae=mae)


def ran(name: str, learner: str, file: Path, folder: Path) -> Told:
    if not PYTHON.exists():
        pytest.skip("the peers' environment is not there: make peers")
    words = command(PEERS[name], learner, WINDOW, file, folder)
    done = subprocess.run([str(PYTHON), *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return read(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "learner"), RUNS)
def test_a_peer_does_the_work_of_the_plain_loop(
    name: str, learner: str, file: Path, tmp_path: Path
) -> None:
    found = ran(name, learner, file, tmp_path)
    wanted = plain(file, learner)
    assert found[:3] == wanted[:3]
    if PEERS[name].same_model:
        assert found.mae == pytest.approx(wanted.mae, rel=1e-9)
    else:
        target = pq.read_table(file)["y"].to_numpy()
        assert found.mae is not None and found.mae < 0.7 * np.abs(target - target.mean()).mean()
    assert len([path for path in tmp_path.iterdir() if path.suffix in (".joblib", ".pickle")]) == 3


def test_a_file_is_cut_into_one_a_window_the_later_the_younger(file: Path) -> None:
    parts = sorted(data.cut(file, WINDOW).iterdir(), key=lambda part: part.stat().st_mtime)
    assert [pq.read_metadata(part).num_rows for part in parts] == [1_000, 1_000, 500]
    assert pa.concat_tables(map(pq.read_table, parts)).equals(pq.read_table(file))


def test_the_plain_loop_counts_as_plain_arrays_do(file: Path, tmp_path: Path) -> None:
    maes = loop(windows(str(file), WINDOW), "ridge", tmp_path)
    wanted = plain(file, "ridge")
    found = expected_work(ROWS, WINDOW, maes)
    assert found[:3] == wanted[:3] and found.mae == pytest.approx(wanted.mae, rel=1e-9)


def test_one_window_alone_scores_nothing() -> None:
    assert expected_work(1_000, 1_000, []) == Told(rows=1_000, scored=0, windows=1, mae=None)


def test_the_last_line_alone_is_read() -> None:
    output = 'WARN of a peer\n{"rows": 3, "scored": 2, "windows": 2, "mae": 0.5}\n'
    assert read(output) == Told(rows=3, scored=2, windows=2, mae=0.5)


@pytest.mark.parametrize("peer", [SAME, OTHER])
@pytest.mark.parametrize("found", [Told(9, 6, 3, 1.0), Told(10, 5, 3, 1.0), Told(10, 6, 2, 1.0)])
def test_another_count_is_refused_for_every_peer(peer: Peer, found: Told) -> None:
    with pytest.raises(RuntimeError, match=peer.script):
        check(peer, found, Told(10, 6, 3, 1.0))


def test_an_mae_off_by_two_per_cent_is_refused_where_the_models_are_the_same() -> None:
    found, wanted = Told(10, 6, 3, 1.02), Told(10, 6, 3, 1.0)
    check(SAME, found._replace(mae=1.005), wanted)
    check(OTHER, found, wanted)
    with pytest.raises(RuntimeError, match=r"1\.02"):
        check(SAME, found, wanted)


@pytest.mark.parametrize("sizes", [s for peer in PEERS.values() for s in peer.sizes.values()])
def test_sizes_are_whole_windows_and_the_small_one_scores_some(sizes: Sizes) -> None:
    assert sizes.window % data.RATE == sizes.small % sizes.window == sizes.large % sizes.window == 0
    assert 2 * sizes.window <= sizes.small < sizes.large
