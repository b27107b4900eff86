# Runs as the first process in the node's namespaces, and becomes pause.
# Arguments: the node's address, the file to make when all is ready, the program to become, and the folders that are to
# be the node's own. They are in memory, so that nothing is left of them.
set -eu
address=$1 ready=$2 pause=$3
shift 3

mount -t proc proc /proc
for folder; do
	mount -t tmpfs -o mode=0755 tmpfs "$folder"
done

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
