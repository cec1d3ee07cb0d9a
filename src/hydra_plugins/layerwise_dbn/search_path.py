"""Hydra's search path: the user's configurations in the snapshot that a command runs from."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

# Hydra imports every module here whenever a command starts, so what is used only at launch is imported there.


class FrozenConfigurations(SearchPathPlugin):
    """Searches the folders that ``--config-dir`` and ``hydra.searchpath`` named when the code was frozen.

    They come before those that are named now: jobs compose what was submitted.
    """

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append them."""
        from dbn.runs.snapshot import frozen_configurations

        for folder in frozen_configurations():
            search_path.append("frozen", f"file://{folder}")
