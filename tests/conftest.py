"""What all tests share: the same random examples, and the same Ctrl-C, wherever they run."""

import signal

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None, database=None)
settings.load_profile("same")

# A shell without job control starts its background jobs with Ctrl-C ignored, and children inherit
# that; the tests of Ctrl-C would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
