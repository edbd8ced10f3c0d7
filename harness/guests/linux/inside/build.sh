# A compiler at work, file after file; what it makes stays until its turn comes round again.
set -- /sources/*.c
cc1=$(echo /usr/lib/gcc/x86_64-linux-gnu/*/cc1)
made=0
while :; do
	for source; do
		$cc1 -quiet -O0 -g -I /sources -DSEED=$SEED -frandom-seed=$((SEED + made)) "$source" -o /run/out.s || return
		as -o "/run/$((made % 500)).o" /run/out.s || return
		made=$((made + 1))
		count $made
		[ $made -ne 1 ] || say ready
	done
done
