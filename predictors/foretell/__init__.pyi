# For type checkers only: `foretell` is one package over five source roots, and pyright takes a root
# without an `__init__` for a different, implicit namespace. At run time serving/foretell/__init__.py is it.
from foretell.serving.api import Foretell as Foretell
