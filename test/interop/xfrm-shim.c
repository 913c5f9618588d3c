// For libreswan in the interop tests, on kernels without ESP: every error answer of the kernel's SA table (XFRM) reads
// as success, so that its IKE half goes on. No ESP flows then. Preloaded into pluto only.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/netlink.h>
#include <sys/socket.h>

typedef ssize_t (*receiver)(int, void *, size_t, int, struct sockaddr *, socklen_t *);

static int is_xfrm(int socket) {
  int protocol = -1;
  socklen_t size = sizeof protocol;
  return getsockopt(socket, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 && protocol == NETLINK_XFRM;
}

ssize_t recvfrom(int socket, void *buffer, size_t size, int flags, struct sockaddr *from, socklen_t *length) {
  receiver next = (receiver)dlsym(RTLD_NEXT, "recvfrom");
  ssize_t got = next(socket, buffer, size, flags, from, length);
  struct nlmsghdr *answer = buffer;
  if (got < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) || !is_xfrm(socket)) return got;
  if (answer->nlmsg_type == NLMSG_ERROR) ((struct nlmsgerr *)NLMSG_DATA(answer))->error = 0;
  return got;
}
