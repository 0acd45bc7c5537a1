#!/bin/sh
# Puts the images of an archive on standard input into containerd's store. They are pinned: the
# kubelet must never collect what cannot be pulled again.
set -eu

containerd >/tmp/containerd.log 2>&1 &
runtime=$!
attempts=150
until ctr version >/dev/null 2>&1; do
	attempts=$((attempts - 1))
	if [ "$attempts" -eq 0 ] || ! kill -0 "$runtime"; then
		cat /tmp/containerd.log
		exit 1
	fi
	sleep 0.2
done
ctr --namespace=k8s.io images import --local --label=io.cri-containerd.pinned=pinned \
	--snapshotter=overlayfs --discard-unpacked-layers -
ctr --namespace=k8s.io images list
kill "$runtime"
wait "$runtime" || true
rm /tmp/containerd.log
