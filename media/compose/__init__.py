"""Makes one film out of a recording's packet logs, in a process of its own.

Claiming the work, wrapping keys and keeping the film are the server's (`server/encounters/jobs.py`).
"""
