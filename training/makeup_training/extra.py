"""The extra `train`: packages that training and export need beyond the runtime."""

import importlib.util

from makeup_kernels.errors import BackendUnavailableError


def require_train_extra(command: str, *packages: str) -> None:
    """Check that a command's packages are installed, before it imports them.

    Args:
        command: for the message.
        packages: the packages it imports.

    Raises:
        BackendUnavailableError: a package is missing; the message names the extra to install.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise BackendUnavailableError(
            f"{command}: {', '.join(missing)} not installed; "
            "run `pip install '.[train]'` in the source folder"
        )
