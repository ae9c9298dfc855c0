"""What surrounds the use cases in a process: settings, the composition root, logs and metrics, the clock."""

import gc

# A function that starts makes a hundred thousand objects, and none of them is garbage. Python's collector would look
# through them again and again meanwhile: a twentieth of a cold start. Later it runs after so many new objects that
# stay, some 40 MB of the 512 that a function has; what is not part of a cycle is freed at once, as always.
gc.set_threshold(200_000, 10, 10)
