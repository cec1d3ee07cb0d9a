"""Types that a configuration and a model file name by a word: a class that has a ``kind`` is found by it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from dbn.errors import SettingError
from dbn.settings import check_keys, format_value, suggestion


class Registered:
    """Base of a family of types (units, connections, layers) whose members register themselves when they are defined.

    A member says ``kind``, its name in configurations and model files, and in ``options`` which arguments of its
    constructor a file has to keep; each is an attribute of the same name, a plain number, text, or a list of them.

    A class of one's own takes part as soon as the module that defines it has been imported. A model file never
    imports anything.

    Raises:
        SettingError: another class is called so already.
    """

    kind: ClassVar[str]
    """Name in configurations and model files."""
    options: ClassVar[tuple[str, ...]] = ()
    """Arguments of the constructor, besides those that the whole family has."""
    registry: ClassVar[dict[str, type[Any]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register the class, if it has a ``kind`` of its own."""
        super().__init_subclass__(**kwargs)
        if "registry" in cls.__dict__ or "kind" not in cls.__dict__:
            return
        known = cls.registry.get(cls.kind)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise SettingError(
                f"kind={cls.kind!r} of {cls.__module__}.{cls.__qualname__}: {known.__module__}.{known.__qualname__} is "
                "called so already. Give it another name."
            )
        cls.registry[cls.kind] = cls

    @classmethod
    def create(cls, wanted: str | Mapping[str, Any], key: str, *arguments: Any) -> Any:
        """An instance.

        Args:
            wanted: ``kind``, or a mapping of ``kind`` and options, as configurations and model files have it.
            key: the setting that says so, for messages.
            *arguments: those that the whole family has.

        Raises:
            SettingError: no class that has been imported is called so, or it refuses an option.
        """
        found, options = cls.resolve(wanted, key)
        return found(*arguments, **options)

    @classmethod
    def resolve(cls, wanted: Any, key: str) -> tuple[type[Any], dict[str, Any]]:
        """Class and options of what :meth:`create` takes.

        Raises:
            SettingError: no class that has been imported is called so, or it has no such option.
        """
        options = dict(wanted) if isinstance(wanted, Mapping) else {"kind": wanted}
        kind = options.pop("kind", None)
        if not isinstance(kind, str) or kind not in cls.registry:
            raise SettingError(
                f"{key}={format_value(wanted)}: no such choice.{suggestion(str(kind), cls.registry)} Use one of "
                f"{', '.join(sorted(cls.registry))}, or one of your own, {{_target_: module.Class}}."
            )
        found = cls.registry[kind]
        check_keys(key, options, found.options)
        return found, options

    def spec(self) -> str | dict[str, Any]:
        """What :meth:`create` makes such an instance of."""
        options = {name: getattr(self, name) for name in self.options}
        return {"kind": self.kind, **options} if options else self.kind
