"""Another machine as a host: a process of ours there, ``pageferry agent``, spoken to over the standard input and output of ssh.

``messages`` are what both ends say, ``frames`` how they are cut; ``server`` is the end there, ``connection`` and ``host`` are ours.
"""
