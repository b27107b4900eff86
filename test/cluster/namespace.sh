# Runs as the first process in the node's namespaces, and becomes pause.
# Arguments: the node's address, the file to make when all is ready, and the program to become.
set -eu
address=$1 ready=$2 pause=$3

# What is written there stays in memory, and nothing is left of it. /var/lib is covered rather than hidden, as the project
# itself may be somewhere below, and nothing has to be made there to be mounted on.
mount -t proc proc /proc
mount -t tmpfs -o mode=0755 tmpfs /run
mount -t tmpfs -o mode=0755 tmpfs /var/log
mkdir -p /run/lib/upper /run/lib/work
mount -t overlay -o lowerdir=/var/lib,upperdir=/run/lib/upper,workdir=/run/lib/work overlay /var/lib

# The kubelet wants an address that is not loopback, and a default route. Both ends of the cable are in here: no address
# is known outside.
ip link set lo up
ip link add node type veth peer name far
ip address add "$address/24" dev node
ip link set far up
ip link set node up
ip route add default dev node
echo 1 >/proc/sys/net/ipv4/ip_forward

: >"$ready"
exec "$pause"
