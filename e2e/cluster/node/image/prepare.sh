#!/bin/sh
# Turns a Debian with systemd, Kubernetes and containerd into a node, as kind's own base image does:
# only what a node in a container needs is left to start.
set -eu

cd /lib/systemd/system
find sysinit.target.wants -name systemd-tmpfiles-setup.service -delete
rm -f multi-user.target.wants/* local-fs.target.wants/* basic.target.wants/* \
	sockets.target.wants/*udev* sockets.target.wants/*initctl* /etc/systemd/system/*.wants/*

# The kernel's messages are the host's, and confusing here.
echo "ReadKMsg=no" >>/etc/systemd/journald.conf

systemctl enable containerd.service kubelet.service pod-network.service undo-mount-hacks.service
# Registers formats for the whole kernel, the host's included.
systemctl mask systemd-binfmt.service

mkdir -p /etc/kubernetes/manifests /kind/manifests
ctr oci spec |
	jq '.hooks.createContainer += [{"path": "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' \
		>/etc/containerd/cri-base.json
