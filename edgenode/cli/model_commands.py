"""`edgenode model`: the models and their parameters."""

from __future__ import annotations

import io
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

import click
import numpy as np

from edgenode.api.client import Parameters
from edgenode.api.json_record import to_json
from edgenode.cli.failure import Exit, Failure
from edgenode.cli.output import print_json, print_table, tail_of
from edgenode.cli.parameter_types import BLOCK_METAVAR, FILE, block_named
from edgenode.cli.session import Session, pass_session


@click.group()
def model() -> None:
    """Look at the ward's models, and take their parameters."""


@model.command("list")
@pass_session
def list_models(session: Session) -> None:
    """List the models at the head."""
    models = session.client().models()
    if session.json:
        print_json(to_json(models))
        return
    print_table(
        # A line fits a terminal of 80 columns; --json has every digit.
        ("model", "parameters", "round", "updates", "examples", "rule", "codec", "root"),
        [
            (m.name, m.parameters, m.round, m.updates, m.examples, m.rule, m.codec, tail_of(m.root))
            for m in models
        ],
    )


@model.command()
@click.argument("name")
@click.option(
    "--out",
    type=FILE,
    required=True,
    help="File to write: NumPy's format if it ends in .npz, else float32, little-endian.",
)
@click.option(
    "--at",
    type=block_named,
    metavar=BLOCK_METAVAR,
    help="Block whose parameters to take (default: head).",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@pass_session
def export(session: Session, name: str, out: Path, at: str | int | None, force: bool) -> None:
    """Write a model's parameters to a file.

    An .npz file holds the arrays parameters, block, height, round and root.
    """
    target = _target(out, force)
    parameters = session.client().parameters(name, at=at)
    assert parameters is not None, "only a conditional request has no answer"
    content = (
        _npz(parameters) if out.suffix == ".npz" else parameters.values.astype("<f4").tobytes()
    )
    _write(target, content)
    summary = {
        "model": name,
        "file": str(out),
        "bytes": len(content),
        "parameters": len(parameters.values),
        "block": parameters.block,
        "height": parameters.height,
        "round": parameters.round,
        "root": parameters.root,
    }
    if session.json:
        print_json(summary)
    else:
        click.echo(
            f"{out}: {len(parameters.values)} parameters of {name} at height "
            f"{parameters.height}, round {parameters.round}"
        )


def _npz(parameters: Parameters) -> bytes:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        parameters=parameters.values,
        block=np.array(parameters.block),
        height=np.array(parameters.height),
        round=np.array(parameters.round),
        root=np.array(parameters.root),
    )
    return buffer.getvalue()


def _target(out: Path, force: bool) -> Path:
    """Where to write: what a symbolic link leads to, never a device or a pipe."""
    target = Path(os.path.realpath(out))
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return target
    except OSError as error:
        raise Failure(f"{out}: cannot be written: {error.strerror}", Exit.BAD_FILE) from None
    if not stat.S_ISREG(mode):
        raise Failure(f"{out}: is no regular file; name another one", Exit.BAD_FILE)
    if not force:
        raise Failure(
            f"{out}: there is a file already; name another one, or write over it with --force",
            Exit.BAD_FILE,
        )
    return target


def _write(out: Path, content: bytes) -> None:
    """Write the file whole or not at all."""
    draft = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        try:
            with draft.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(out)
        finally:
            with suppress(FileNotFoundError):
                draft.unlink()
    except OSError as error:
        raise Failure(f"{out}: cannot be written: {error.strerror}", Exit.BAD_FILE) from None
