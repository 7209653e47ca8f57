"""The one exception a user is meant to read: what is wrong, where, what was expected, what to do next."""


class StudyError(Exception):
    """Bad input, configuration or surroundings. `command.run` prints its message alone, without a traceback."""
