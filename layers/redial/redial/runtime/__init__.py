"""The process around the use cases: settings, the composition root, logs and metrics, the clock."""

import gc

# A cold start allocates a hundred thousand objects, none of them garbage; collecting meanwhile takes a twentieth of it.
# With this threshold the cyclic collector runs after about 40 MB of new objects, of a function's 512 MB. Reference
# counting frees objects without cycles at once, as always.
gc.set_threshold(200_000, 10, 10)
