# SPDX-License-Identifier: GPL-2.0-or-later


class Failure(Exception):
    """An expected failure. Its text is the line that the administrator gets."""
