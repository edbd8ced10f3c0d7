# KubeVirt's load for migrations: a buffer that is filled with 64-bit words, over and over.
made=0
while stress-ng --vm 1 --vm-bytes 40% --vm-method write64 --vm-keep --vm-ops 100 --seed "$SEED" --quiet; do
	made=$((made + 1))
	count $made
	[ $made -ne 1 ] || say ready
done
