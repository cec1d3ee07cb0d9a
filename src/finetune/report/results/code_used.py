"""Which code made a run: equal by its hash where that is known, else by commit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Code:
    """A state of the code. Two that have a hash are equal where their hashes are, whatever the commit.

    Attributes:
        key: what is compared.
        commit: of the checkout; None for an installed package.
        dirty: whether there were uncommitted changes.
        name: hash, see :mod:`dbn.runs.code`; empty for runs of earlier versions.
    """

    key: str
    commit: str | None = field(compare=False, default=None)
    dirty: bool = field(compare=False, default=False)
    name: str = field(compare=False, default="")

    def is_same(self, other: "Code") -> bool:
        """Whether both are the same, as far as both are known; files of the user's are compared where both have any."""
        if not (self.name and other.name):
            return (self.commit, self.dirty) == (other.commit, other.dirty)
        own, _, users = self.name.partition("_")
        others, _, other_users = other.name.partition("_")
        return own == others and (not users or not other_users or users == other_users)


def code_of(git: Mapping[str, Any] | None, name: str) -> Code | None:
    """The code by what a file says of it; None where it says nothing.

    Args:
        git: commit, and whether there were uncommitted changes.
        name: hash; may be empty.
    """
    commit = str(git["commit"]) if git and git.get("commit") else None
    if commit is None and not name:
        return None
    dirty = bool(git.get("dirty")) if git else False
    return Code(name or f"{commit} {dirty}", commit, dirty, name)
