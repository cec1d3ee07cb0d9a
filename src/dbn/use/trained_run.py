"""The file of a trained model, and the run that it comes from."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dbn.data.content import content_of
from dbn.data.split_settings import split_seed_of
from dbn.errors import DataError, SettingError
from dbn.runs.run import RESULT


@dataclass(frozen=True)
class TrainedRun:
    """A model's file, and what is known of its run.

    Attributes:
        file: the model's file, or the run's directory where that has none.
        config: the run's configuration; empty where the file is alone.
    """

    file: Path
    config: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def find(cls, path: str | Path, file_name: str) -> "TrainedRun":
        """The model at ``path``.

        Args:
            path: a model's file, or the directory of a run.
            file_name: name of the model's file in a run's directory.

        Raises:
            DataError: ``result.json`` beside the file is no result.
        """
        path = Path(path).expanduser()
        file = path / file_name if path.is_dir() else path
        result = file.parent / RESULT
        if file.name != file_name or not result.is_file():
            return cls(file)
        try:
            config = json.loads(result.read_text(encoding="utf-8"))["config"]
            split_seed_of(config)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{result}: this is no result of a run ({error!r}). Copy the model's file elsewhere to use it alone."
            ) from error
        return cls(file, config)

    @property
    def split_seed(self) -> int | None:
        """Seed of the run's split; None where it is not known."""
        return split_seed_of(self.config) if self.config else None

    def data(self) -> dict[str, Any]:
        """The run's own settings of the group ``data``.

        Raises:
            SettingError: they are not known.
            DataError: the file that the run was trained on has changed.
        """
        if not self.config:
            raise SettingError(
                f"data: this needs a choice, such as data=image_folder data.path=...: {self.file} does not lie in the "
                "directory of a run, whose data would be taken."
            )
        data: dict[str, Any] = self.config["data"]
        if data.get("content") is not None and content_of(data["path"]) != data["content"]:
            raise DataError(
                f"data.path={data['path']}: the run's own data have changed or are not there. Give others by data=..., "
                "or put them back."
            )
        return data
