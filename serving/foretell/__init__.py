"""foretell: how long it will take, before it runs, with an honest interval."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
