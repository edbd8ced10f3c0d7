"""The user's own guest: a kernel or a disk that we did not make, of which nothing is known but how to see that it is ready.

``settings`` is what a scenario may say of it, ``console`` reads its serial line, ``ready`` finds out whether it does its work,
``disk`` keeps its disk as it was, ``kind`` joins them.
"""
