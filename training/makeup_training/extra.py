"""What training and export need beyond the run time: the extra `train`."""

import importlib.util

from makeup_kernels.errors import BackendUnavailableError


def require_train_extra(command: str, *packages: str) -> None:
    """Check that a command has its packages, before it imports them.

    Args:
        command: for the message.
        packages: what it imports.

    Raises:
        BackendUnavailableError: naming the missing ones and the extra that brings them.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise BackendUnavailableError(
            f"{command}: {', '.join(missing)} not installed; "
            "run `pip install '.[train]'` in the source folder"
        )
