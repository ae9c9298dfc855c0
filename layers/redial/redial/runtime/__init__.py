"""The use cases' environment in a process: settings, the container of services, logs and metrics, the clock."""

import gc
import os

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    # A starting function creates a hundred thousand objects, none of which is garbage. Python's collector would scan
    # them again and again, for a twentieth of a cold start. With this threshold, it runs after that many new surviving
    # objects: some 40 MB of a function's 512. Objects without cycles are still freed at once.
    gc.set_threshold(200_000, 10, 10)
