"""What the machine has left."""


def available_bytes() -> int:
    """Memory that could be had now."""
    import psutil

    return int(psutil.virtual_memory().available)
