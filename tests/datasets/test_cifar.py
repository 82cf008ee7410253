"""Both official forms of CIFAR-10 are read, and whatever else lies at the path is refused."""

import gzip
import io
import pickle
import tarfile

import numpy as np
import pytest

from datasets import cifar
from datasets.cifar import CifarError

NAMES = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]


def batch(seed, count=7):
    random = np.random.default_rng(seed)
    planes = random.integers(0, 256, (count, 3072)).astype(np.uint8)
    return planes, [int(label) for label in random.integers(0, 10, count)]


def python2_pickle(planes, labels):
    """The bytes that cPickle of Python 2 writes with protocol 2 for an official batch."""

    def text(value):
        return b"U" + bytes([len(value)]) + value

    def number(value):
        return b"J" + value.to_bytes(4, "little", signed=True)

    dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R"
    dtype += b"(K\x03" + text(b"|") + b"NNN" + number(-1) * 2 + b"K\x00tb"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    )
    array += b"(K\x01" + number(planes.shape[0]) + number(planes.shape[1]) + b"\x86" + dtype
    content = planes.tobytes()
    array += b"\x89T" + len(content).to_bytes(4, "little") + content + b"tb"
    items = text(b"data") + array
    items += text(b"labels") + b"](" + b"".join(b"K" + bytes([n]) for n in labels) + b"e"
    items += text(b"batch_label") + text(b"training batch 1 of 5")
    return b"\x80\x02}(" + items + b"u."


def python_file(seed):
    planes, labels = batch(seed)
    return python2_pickle(planes, labels)


def python3_file(seed):
    planes, labels = batch(seed)
    return pickle.dumps({b"data": planes, b"labels": labels, b"filenames": [b"a.png"]}, 2)


def binary_file(seed):
    planes, labels = batch(seed)
    return np.concatenate([np.array(labels, np.uint8)[:, None], planes], axis=1).tobytes()


FORMS = {
    "python": ("cifar-10-batches-py", "", python_file),
    "python3": ("cifar-10-batches-py", "", python3_file),
    "binary": ("cifar-10-batches-bin", ".bin", binary_file),
}


def archive(path, form, change=None):
    folder, suffix, make = FORMS[form]
    files = {f"{folder}/{name}{suffix}": make(seed) for seed, name in enumerate(NAMES)}
    files[f"{folder}/readme.html"] = b"<html>"
    if change:
        change(files)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def assert_is_the_data(read):
    assert read.training.pixels.shape == (35, 32, 32, 3)
    for seed in range(5):
        planes, labels = batch(seed)
        part = slice(7 * seed, 7 * seed + 7)
        assert list(read.training.labels[part]) == labels
        for colour in range(3):
            plane = read.training.pixels[part, :, :, colour].reshape(7, 1024)
            assert np.array_equal(plane, planes[:, 1024 * colour : 1024 * colour + 1024])
    assert len(read.test) == 7
    assert list(read.test.labels) == batch(5)[1]


@pytest.mark.parametrize("form", FORMS)
def test_an_archive_is_read_in_the_order_of_its_batches(tmp_path, form):
    assert_is_the_data(cifar.load(archive(tmp_path / "cifar.tar.gz", form)))


@pytest.mark.parametrize("form", FORMS)
def test_the_folder_that_an_archive_unpacks_to_is_read_too(tmp_path, form):
    with tarfile.open(archive(tmp_path / "cifar.tar.gz", form)) as tar:
        tar.extractall(tmp_path, filter="data")
    assert_is_the_data(cifar.load(tmp_path / FORMS[form][0]))


@pytest.mark.parametrize("form", ["python", "binary"])
def test_a_missing_batch_is_named(tmp_path, form):
    def drop(files):
        folder, suffix, _ = FORMS[form]
        del files[f"{folder}/data_batch_3{suffix}"]

    with pytest.raises(CifarError, match="lacks data_batch_3;"):
        cifar.load(archive(tmp_path / "c.tar.gz", form, drop))


@pytest.mark.parametrize(
    ("form", "content", "said"),
    [
        ("binary", binary_file(0)[:-1], "cut short"),
        ("binary", b"", "0 images"),
        ("binary", bytes([10]) + bytes(3072), "label"),
        ("binary", bytes(3073) * 10_001, "10001 images"),
        ("binary", bytes((40 << 20) + 1), "larger than any batch"),
        ("python", python_file(0)[:-9], "not a well-formed pickle"),
        ("python", b"cos\nsystem\nU\x04true\x85R.", r"os\.system"),
        ("python", pickle.dumps({"data": np.zeros((2, 3), np.uint8)}, 2), "no data"),
        ("python", pickle.dumps({"data": np.zeros((1, 3072), np.float32)}, 2), "no data"),
        ("python", pickle.dumps({"data": np.zeros((1, 3072), np.uint8)}, 2), "1 labels"),
        (
            "python",
            pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [10]}, 2),
            "1 labels",
        ),
        (
            "python",
            pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": ["1"]}, 2),
            "1 labels",
        ),
    ],
)
def test_a_batch_that_is_not_as_it_should_be_is_refused(tmp_path, form, content, said):
    def put(files):
        folder, suffix, _ = FORMS[form]
        files[f"{folder}/data_batch_2{suffix}"] = content

    with pytest.raises(CifarError, match=said):
        cifar.load(archive(tmp_path / "c.tar.gz", form, put))


def test_a_batch_that_comes_twice_is_refused(tmp_path):
    def twice(files):
        files["elsewhere/data_batch_1"] = python_file(1)

    with pytest.raises(CifarError, match="twice"):
        cifar.load(archive(tmp_path / "c.tar.gz", "python", twice))


def test_an_archive_cut_anywhere_is_refused(tmp_path):
    path = archive(tmp_path / "c.tar.gz", "binary")
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, len(whole) // 20):
        path.write_bytes(whole[:length])
        with pytest.raises(CifarError):
            cifar.load(path)


def test_an_archive_that_unpacks_without_end_is_given_up(tmp_path):
    path = tmp_path / "bomb.tar.gz"
    member = tarfile.TarInfo("cifar-10-batches-bin/readme.html")
    member.size = 600 << 20
    with gzip.open(path, "wb", compresslevel=1) as packed:
        packed.write(member.tobuf())
        for _ in range(600):
            packed.write(bytes(1 << 20))
    with pytest.raises(CifarError, match="more than CIFAR-10 holds"):
        cifar.load(path)


def test_a_flipped_bit_anywhere_is_found_by_the_checksum(tmp_path):
    path = archive(tmp_path / "c.tar.gz", "binary")
    whole = bytearray(path.read_bytes())
    # The first bytes are the gzip header, with a name that nobody reads.
    for at in range(100, len(whole), len(whole) // 20):
        whole[at] ^= 4
        path.write_bytes(whole)
        whole[at] ^= 4
        with pytest.raises(CifarError):
            cifar.load(path)


def test_links_and_missing_paths_are_refused(tmp_path):
    path = tmp_path / "c.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        link = tarfile.TarInfo("cifar-10-batches-bin/data_batch_1.bin")
        link.type = tarfile.SYMTYPE
        link.linkname = "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(CifarError, match="lacks data_batch_1,"):
        cifar.load(path)
    with pytest.raises(CifarError, match="does not exist"):
        cifar.load(tmp_path / "none.tar.gz")
