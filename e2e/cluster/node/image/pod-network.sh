#!/bin/sh
# Connects the pods of this node with those of the others by plain routes: what a network add-on does,
# for a cluster whose nodes share one network and whose image cannot hold kind's own add-on.
# /kind/pod-network names the pods' subnet, this node's range, and each other node with its range.
set -eu

read -r subnet range </kind/pod-network
mtu=$(cat /sys/class/net/eth0/mtu)

mkdir -p /etc/cni/net.d
cat >/etc/cni/net.d/.unfinished <<END
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "ptp", "mtu": $mtu, "ipMasq": false, "ipam": {"type": "host-local",
   "dataDir": "/run/cni-ipam-state", "routes": [{"dst": "0.0.0.0/0"}], "ranges": [[{"subnet": "$range"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
END
mv /etc/cni/net.d/.unfinished /etc/cni/net.d/10-pods.conflist

# Nobody but the nodes knows the way to a pod: what is left over must not leave through the gateway.
ip route replace blackhole "$subnet"
tail -n +2 /kind/pod-network | while read -r node others; do
	address=$(getent ahostsv4 "$node" | awk '{print $1; exit}')
	ip route replace "$others" via "${address:?no address for node $node yet}"
done

rule="-s $subnet ! -d $subnet -j MASQUERADE"
iptables -t nat -C POSTROUTING $rule 2>/dev/null || iptables -t nat -A POSTROUTING $rule
