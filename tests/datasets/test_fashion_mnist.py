"""Fashion-MNIST's files, as small ones of the same form."""

import gzip

import numpy as np
import pytest

from datasets.fashion_mnist import FashionMnistError, load


def idx(magic, items):
    header = np.array([magic, *items.shape], ">u4").tobytes()
    return header + items.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(1)
    for name, count in (("train", 30), ("t10k", 7)):
        images = rng.integers(0, 256, (count, 28, 28))
        labels = np.arange(count) % 10
        write(tmp_path, f"{name}-images-idx3", idx(0x803, images))
        write(tmp_path, f"{name}-labels-idx1", idx(0x801, labels))
    return tmp_path


def write(folder, name, content):
    (folder / f"{name}-ubyte.gz").write_bytes(gzip.compress(content))


def test_images_become_cifars_form(folder):
    data = load(folder)
    assert data.training.pixels.shape == (30, 32, 32, 3)
    assert data.test.labels.tolist() == [0, 1, 2, 3, 4, 5, 6]
    raw = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    last = np.frombuffer(raw, np.uint8)[-28 * 28 :].reshape(28, 28)
    for colour in range(3):
        assert np.array_equal(data.test.pixels[-1, 2:-2, 2:-2, colour], last)
    assert not data.test.pixels[:, :2].any()
    assert not data.test.pixels[:, :, -2:].any()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-labels-idx1", idx(0x801, np.zeros(29)), "30 train images, 29 labels"),
        ("train-labels-idx1", idx(0x801, np.full(30, 10)), "a train label is 10"),
        ("t10k-images-idx3", idx(0x801, np.zeros((7, 28, 28))), "begins with"),
        ("t10k-images-idx3", idx(0x803, np.zeros((7, 28, 29))), "begins with"),
        ("t10k-images-idx3", idx(0x803, np.zeros((7, 28, 28)))[:-1], "says 7 items"),
        ("t10k-images-idx3", idx(0x803, np.zeros((7, 28, 28))) + b"\0", "says 7 items"),
        ("t10k-images-idx3", b"\0\0\x08", "3 bytes, too few"),
    ],
)
def test_a_file_that_is_something_else_is_named(folder, name, content, message):
    write(folder, name, content)
    with pytest.raises(FashionMnistError, match=message):
        load(folder)


def test_a_missing_or_cut_file_is_named(folder):
    path = folder / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(FashionMnistError, match="t10k-labels"):
        load(folder)
    path.unlink()
    with pytest.raises(FashionMnistError, match="dataset-fashion-mnist brings it"):
        load(folder)
