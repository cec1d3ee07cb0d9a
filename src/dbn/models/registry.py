"""Registry of types that configurations and model files name by their ``kind``."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from dbn.errors import SettingError
from dbn.settings import check_keys, format_value, suggestion


class Registered:
    """Base of a family of types (units, connections, layers) whose subclasses are registered when they are defined.

    A subclass sets ``kind``, its name in configurations and model files, and ``options``, the arguments of its
    constructor that a file must keep; each is an attribute of the same name, a number, a text, or a list of them.

    A user-defined class is available once its module has been imported; reading a model file imports nothing.

    Raises:
        SettingError: the ``kind`` belongs to another class.
    """

    kind: ClassVar[str]
    """Name in configurations and model files."""
    options: ClassVar[tuple[str, ...]] = ()
    """Names of the constructor's arguments besides those that the whole family shares."""
    registry: ClassVar[dict[str, type[Any]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register the class if it sets ``kind``."""
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
        """Create an instance.

        Args:
            wanted: ``kind``, or a mapping of ``kind`` and options, as in configurations and model files.
            key: name of the setting, for messages.
            *arguments: constructor arguments that the whole family shares.

        Raises:
            SettingError: no registered class has this kind, or it refuses an option.
        """
        found, options = cls.resolve(wanted, key)
        return found(*arguments, **options)

    @classmethod
    def resolve(cls, wanted: Any, key: str) -> tuple[type[Any], dict[str, Any]]:
        """Class and options for the argument ``wanted`` of :meth:`create`.

        Raises:
            SettingError: no registered class has this kind, or it has no such option.
        """
        options = dict(wanted) if isinstance(wanted, Mapping) else {"kind": wanted}
        kind = options.pop("kind", None)
        if not isinstance(kind, str) or kind not in cls.registry:
            if isinstance(wanted, Mapping) and kind is None:
                raise SettingError(
                    f"{key}={format_value(dict(wanted))}: its kind is missing. Give it one of "
                    f"{', '.join(sorted(cls.registry))}: {{kind: {min(cls.registry)}, ...}}."
                )
            raise SettingError(
                f"{key}={format_value(wanted)}: no such choice.{suggestion(str(kind), cls.registry)} Use one of "
                f"{', '.join(sorted(cls.registry))}, or one of your own, {{_target_: module.Class}}."
            )
        found = cls.registry[kind]
        check_keys(key, options, found.options)
        return found, options

    @classmethod
    def group(cls, members: Sequence[Any]) -> Any:
        """An instance that holds copies of ``members`` of one shape, whose tensors have the members as first dimension.

        Raises:
            SettingError: this type does not support groups.
        """
        raise SettingError(
            f"n_parallel_seeds={len(members)}: {cls.__name__} cannot be trained for several seeds at once. Use "
            "n_parallel_seeds=1."
        )

    def spec(self) -> str | dict[str, Any]:
        """``kind``, or a mapping of ``kind`` and options, from which :meth:`create` makes such an instance."""
        options = {name: getattr(self, name) for name in self.options}
        return {"kind": self.kind, **options} if options else self.kind
