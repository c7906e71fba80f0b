"""Which probe types exist, found by module name; a type is imported only when a file names it."""

import pkgutil
from importlib import import_module
from typing import Protocol, cast

import msgspec

import probes
from probes.kit.spec import ProbeModule


class ProbeTypes(Protocol):
    """Probe types by name."""

    def names(self) -> tuple[str, ...]:
        """Return the names that `load` may know, sorted; nothing is imported for it."""
        ...

    def load(self, name: str) -> ProbeModule | None:
        """Return the type's module, None when there is no such type; ImportError when it lacks something."""
        ...


class InstalledTypes(msgspec.Struct, frozen=True):
    """The modules of the `probes` package; a module without SPEC is no type."""

    def names(self) -> tuple[str, ...]:
        """Return the package's module names."""
        modules = pkgutil.iter_modules(probes.__path__)
        return tuple(sorted(m.name for m in modules if not m.ispkg and not m.name.startswith("_")))

    def load(self, name: str) -> ProbeModule | None:
        """Import `probes.<name>` when the package holds it."""
        if name not in self.names():
            return None
        module = import_module(f"probes.{name}")
        return cast("ProbeModule", module) if hasattr(module, "SPEC") else None
