"""The errors a user can meet. Each names the bad value, what was expected and what to do next."""


class FriedelError(Exception):
    """Base of every error this package raises on purpose."""


class InputError(FriedelError, ValueError):
    """Data or a file can't be used: it is missing, damaged, of the wrong shape or empty."""


class PlanError(FriedelError, ValueError):
    """A plan, an option or a schedule doesn't make sense."""


class WeightsError(FriedelError, ValueError):
    """A network's weights can't be used: missing, damaged, of the wrong hash, or made for another architecture."""


class MissingDependencyError(FriedelError, ImportError):
    """An optional package is needed and absent; the message carries the line that installs it.

    Parameters
    ----------
    package : str
        Name of the missing package.
    extra : str
        The extra of this project that brings it.
    purpose : str
        What it is needed for, as the end of "… is needed to …".
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{package} is needed to {purpose}. Install it with: pip install 'friedel[{extra}]'")
        self.package = package
        self.extra = extra
