"""Every module of the pipeline is a command: typed arguments in, files out, a manifest beside them, errors in one line.

A module declares its arguments as a dataclass whose files are marked `Input` or `Output`, and ends with

    if __name__ == "__main__":
        command.run(main, Args)
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import tyro

from scripts.common.errors import StudyError

_INPUT, _OUTPUT = object(), object()
Input = Annotated[Path, _INPUT]
Output = Annotated[Path, _OUTPUT]
A = TypeVar("A")


def run(main: Callable[[A], Mapping[str, Any] | None], arguments: type[A]) -> None:
    """Parse the command line into `arguments`, check that inputs exist, call `main`, write manifests, print a summary.

    What `main` returns (counts, tokens, losses) goes into the manifest and into the summary. A `main` that returns
    nothing has said all that there is to say: no summary follows, so that what it prints can be piped.
    """
    module = sys.modules[main.__module__]
    args = tyro.cli(arguments, description=module.__doc__, prog=f"python -m {_module_name(module)}")
    started = time.time()
    try:
        inputs, outputs = files(args)
        for name, path in inputs:
            if not path.exists():
                raise StudyError(f"--{name.replace('_', '-')} {path}: there is no such file or folder.")
        said = main(args)
        facts = dict(said or {})
        if int(os.environ.get("RANK", 0)) == 0:
            from scripts.common.provenance import write_manifests

            write_manifests(_module_name(module), args, inputs, outputs, facts, started)
    except StudyError as error:
        sys.exit(f"error: {error}")
    if said is None:
        return
    for key, value in facts.items():
        print(f"{key:>24}  {value:,.4g}" if isinstance(value, float) else f"{key:>24}  {value}")
    print(f"{'seconds':>24}  {time.time() - started:.1f}")


def files(args: Any) -> tuple[list[tuple[str, Path]], list[tuple[str, Path]]]:
    """The (argument name, path) pairs of a dataclass's inputs and of its outputs; optional files left out count not."""
    hints = get_type_hints(type(args), include_extras=True)
    found: dict[object, list[tuple[str, Path]]] = {_INPUT: [], _OUTPUT: []}
    for field in fields(args):
        value = getattr(args, field.name)
        for mark in (_INPUT, _OUTPUT):
            if _marked(hints[field.name], mark):
                paths = value if isinstance(value, (tuple, list)) else [value]
                found[mark] += [(field.name, path) for path in paths if path is not None]
    return found[_INPUT], found[_OUTPUT]


def _marked(hint: Any, mark: object) -> bool:
    return mark in getattr(hint, "__metadata__", ()) or any(_marked(inner, mark) for inner in get_args(hint))


def _module_name(module: Any) -> str:
    return module.__spec__.name if module.__spec__ else module.__name__
