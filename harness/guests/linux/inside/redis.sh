# A Redis that holds Debian's catalogue of packages, a key each; clients read and write keys at random.
redis-server --port 0 --unixsocket /run/redis.sock --save '' --appendonly no --daemonize yes --logfile /run/redis.log
until redis-cli -s /run/redis.sock ping >/run/ping 2>&1; do usleep 20000; done
redis-cli -s /run/redis.sock --pipe </data/catalogue >/run/loaded || return
rm /data/catalogue
python3 -S -c 'from harness.guests.linux.inside.redis import main; main()'
