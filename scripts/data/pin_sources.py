"""Pin the catalogue: write the newest commit of each data set and base model in the place of its branch name.

The hub is asked once for every repository whose revision is not a commit yet; all else in the file, comments too, stays
as it is. To take a newer commit later, write `main` again and pin anew. HF_TOKEN and HF_ENDPOINT are honoured.

    python -m scripts.data.pin_sources --catalogue config/sources.yaml
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from scripts.common import command
from scripts.common.catalogue import CATALOGUE, pinned
from scripts.common.errors import StudyError
from scripts.common.files import publish


@dataclass(frozen=True)
class Args:
    catalogue: Path = CATALOGUE
    """The catalogue, changed in place."""


@dataclass(frozen=True)
class Pin:
    """A revision in the text of the catalogue that is not a commit."""

    collection: str
    name: str
    hub: str
    revision: str
    start: int
    end: int


def main(args: Args) -> None:
    text = args.catalogue.read_text()
    asked: dict[tuple[str, str, str], str] = {}
    failed = []
    for pin in reversed(
        list(unpinned(text, args.catalogue))
    ):  # from the end, so that earlier places stay where they are
        key = ("model" if pin.collection == "models" else "dataset", pin.hub, pin.revision)
        try:
            commit = asked[key] = asked.get(key) or newest_commit(*key)
        except StudyError as error:
            failed.append(str(error))
            continue
        text = text[: pin.start] + commit + text[pin.end :]
        print(f"{commit}  {pin.collection}.{pin.name}: {pin.hub} at {pin.revision}")
    with publish(args.catalogue) as temporary:
        temporary.write_text(text)
    if failed:
        raise StudyError(f"{args.catalogue}: {len(failed)} not pinned.\n  " + "\n  ".join(dict.fromkeys(failed)))


def unpinned(text: str, path: Path) -> Iterator[Pin]:
    """The places of the catalogue's text that `make pin` changes.

    Raises:
        StudyError: an entry says one of `hub` and `revision`, and takes the other from another entry.
    """
    for collection, entries in yaml.compose(text).value:
        for name, entry in entries.value:
            own = {key.value: value for key, value in entry.value}
            said = {"hub", "revision"} & own.keys()
            if not said:  # both are another entry's, taken over by `<<`, and pinned there
                continue
            if len(said) == 1:
                raise StudyError(
                    f"{path}: {collection.value}.{name.value} must say both 'hub' and 'revision', or none."
                )
            place = own["revision"]
            if not pinned(place.value):
                span = (place.start_mark.index, place.end_mark.index)
                yield Pin(collection.value, name.value, own["hub"].value, place.value, *span)


def newest_commit(kind: str, hub: str, revision: str) -> str:
    """The commit that a branch or tag of a hub repository names now.

    Args:
        kind: dataset or model.

    Raises:
        StudyError: the repository or the revision does not exist, or the hub can't be reached.
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        return HfApi().repo_info(hub, repo_type=kind, revision=revision).sha
    except (HfHubHTTPError, OfflineModeIsEnabled, httpx.TransportError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise StudyError(f"{hub} at {revision}: {reason}") from None


if __name__ == "__main__":
    command.run(main, Args)
