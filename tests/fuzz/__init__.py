"""What reads bytes of others, each as a function from bytes to what is wrong: one target per kind of input.

``wire`` and ``files`` have the targets, ``edits`` breaks an input, ``limits`` holds each to its time and memory. CI runs them under
Hypothesis, ``tox -e fuzz`` for as long as you like, led by coverage (Atheris).
"""
