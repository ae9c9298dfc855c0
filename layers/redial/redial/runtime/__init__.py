"""What surrounds the use cases in a process: settings, the container of services, logs and metrics, the clock."""

import gc
import os

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    # A function that starts makes a hundred thousand objects, and none of them is garbage. Python's collector would
    # scan them again and again meanwhile: a twentieth of a cold start. Later it runs after so many new objects that
    # stay, some 40 MB of the 512 that a function has; what is in no cycle is freed at once, as always.
    gc.set_threshold(200_000, 10, 10)
