"""``auto``: which codec the next batch goes through, from what link and codecs were seen to do."""
