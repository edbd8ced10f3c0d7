# KubeVirt's load for migrations: a buffer that is filled with 64-bit words, over and over.
made=0
while stress-ng --vm 1 --vm-bytes 40% --vm-method write64 --vm-keep --vm-ops 20 --seed "$SEED" --quiet; do
	made=$((made + 20))
	count $made
	[ $made -ne 20 ] || say ready
done
