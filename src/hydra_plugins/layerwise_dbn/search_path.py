"""Hydra's search path: the user's configurations in the snapshot that a command runs from, and where it is called."""

from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

# Hydra imports every module here whenever a command starts, so what is used only at launch is imported there.


class UserConfigurations(SearchPathPlugin):
    """Searches the folders that were searched when the code was frozen, and ``conf/`` in the folder of the call.

    Frozen ones come before those that are named now: jobs compose what was submitted. ``conf/`` is searched where it
    has a folder ``cluster/``, for the user's sites, and is no checkout's.
    """

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append them."""
        from dbn.runs.snapshot import frozen_configurations

        for folder in frozen_configurations():
            search_path.append("frozen", f"file://{folder}")
        here = Path.cwd() / "conf"
        if (here / "cluster").is_dir() and not (here / "finetune.yaml").is_file():
            search_path.append("here", f"file://{here}")
