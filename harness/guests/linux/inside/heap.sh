# A Python program with a large heap of records, which it replaces at random.
python3 -S -c 'from harness.guests.linux.inside.heap import main; main()'
