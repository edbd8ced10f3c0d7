# Files in memory: read at random, and written anew, some of them compressed, as logs and backups are.
python3 -S -c 'from harness.guests.linux.inside.filecache import main; main()'
