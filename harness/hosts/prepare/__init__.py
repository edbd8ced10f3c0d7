"""Installs this very pageferry on a host, over ssh alone: the host needs Python, and neither pip nor a network.

``wheels`` packs what is installed here, ``there`` runs on the host, ``prepare`` leads.
"""
