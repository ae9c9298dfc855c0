"""What surrounds the use cases in a process: settings, the composition root, logs and metrics, the clock."""

import gc

# A function that starts makes some hundred thousand objects, and none of them is garbage. Python's collector would look
# through all of them again and again meanwhile: a sixteenth of a cold start.
gc.set_threshold(50_000, 20, 20)
