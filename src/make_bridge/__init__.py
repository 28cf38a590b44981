"""Make Bridge: automation inside your own product, self-hosted.

Read by the build (the version lives here, once) and by whoever asks the installed package what it is.
It imports nothing, so that a part of the package can be used without loading the rest.
"""

__version__ = "0.1.0"
