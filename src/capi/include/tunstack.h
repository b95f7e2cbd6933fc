// tunstack.h: the socket interface of tunstack, a TCP/IP stack in user space.
//
// Each function is the system call of the same name without the prefix tunstack_, with its arguments, its results
// and its errno. tunstack_start() comes first. A descriptor is the lowest number that is free, and the kernel's own
// select, poll and epoll tell when it is ready; data goes through the functions below, and so does close.
//
// Generated from the Rust source; not to be edited.


#ifndef TUNSTACK_H
#define TUNSTACK_H

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Starts the stack: makes the TUN device `device` ("tun0" when null), brings it up with the stack at `address`
// ("10.7.0.2/24") and
// `address6` ("fd07::2/64"), either of which may be null, and the host at the first other address of each prefix.
//
// Returns 0, or -1 with `errno`, where `tunstack_error` says it in words: `EPERM` or `EACCES` without the right
// to make devices, `EBUSY` when the device is in use, `EINVAL` for an address that is none, `EALREADY` when the stack runs.
//
// Each argument is null or a C string.
int tunstack_start(const char *device,
                   const char *address,
                   const char *address6);

// Starts the stack without a device: its sockets reach each other at 127.0.0.1 and ::1, and nobody else. Needs no
// right.
//
// Returns 0, or -1 with `errno`.
int tunstack_start_alone(void);

// Ends the stack in order: connections deliver what was written and close; what has not ended after
// `milliseconds` is reset. Calls that wait give `ESHUTDOWN`; descriptors that are still open are dead and are closed.
//
// Returns 0, or -1 with `errno`: `ETIMEDOUT` when connections had to be reset, `ENETDOWN` when no stack ran.
int tunstack_stop(unsigned int milliseconds);

// What went wrong with the last `tunstack_start` of this thread, in words and with what to do about it. Valid until the
// thread's next call of a function of this library that fails; never null.
const char *tunstack_error(void);

// `socket(2)`: `AF_INET` or `AF_INET6`; `SOCK_STREAM` or `SOCK_DGRAM`, with `SOCK_NONBLOCK` and `SOCK_CLOEXEC`; protocol 0,
// `IPPROTO_TCP` or `IPPROTO_UDP`.
int tunstack_socket(int domain,
                    int type,
                    int protocol);

// `bind(2)`.
//
// `address` points to `len` octets.
int tunstack_bind(int fd, const struct sockaddr *address, socklen_t len);

// `listen(2)`.
int tunstack_listen(int fd, int backlog);

// `accept(2)`.
//
// `address` is null, or `len` points to the number of octets that it has room for.
int tunstack_accept(int fd, struct sockaddr *address, socklen_t *len);

// `accept4(2)`, with `SOCK_NONBLOCK` and `SOCK_CLOEXEC`.
//
// `address` is null, or `len` points to the number of octets that it has room for.
int tunstack_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);

// `connect(2)`. An address of the family `AF_UNSPEC` ends the association.
//
// `address` points to `len` octets.
int tunstack_connect(int fd, const struct sockaddr *address, socklen_t len);

// `getsockname(2)`.
//
// `len` points to the number of octets that `address` has room for.
int tunstack_getsockname(int fd, struct sockaddr *address, socklen_t *len);

// `getpeername(2)`.
//
// `len` points to the number of octets that `address` has room for.
int tunstack_getpeername(int fd, struct sockaddr *address, socklen_t *len);

// `shutdown(2)`: `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR`.
int tunstack_shutdown(int fd, int how);

// `close(2)`. Descriptors of this library are closed by this call, not by `close`.
int tunstack_close(int fd);

// `dup(2)`.
int tunstack_dup(int fd);

// `setsockopt(2)`.
//
// `value` points to `len` octets.
int tunstack_setsockopt(int fd, int level, int name, const void *value, socklen_t len);

// `getsockopt(2)`.
//
// `len` points to the number of octets that `value` has room for.
int tunstack_getsockopt(int fd, int level, int name, void *value, socklen_t *len);

// `fcntl(2)` with an argument of type int: `F_GETFL`, `F_SETFL`, `F_GETFD`, `F_SETFD`, `F_DUPFD`, `F_DUPFD_CLOEXEC`. Where
// the command takes no argument it is 0.
int tunstack_fcntl(int fd,
                   int command,
                   int argument);

// `ioctl(2)` with a pointer to an int: `FIONREAD`, `FIONBIO`, `SIOCATMARK`, `SIOCOUTQ`, `SIOCOUTQNSD`.
//
// `value` is null or points to an int.
int tunstack_ioctl(int fd,
                   unsigned long request,
                   int *value);

// `dup2(2)`.
int tunstack_dup2(int fd, int to);

// `dup3(2)`, with `O_CLOEXEC`.
int tunstack_dup3(int fd, int to, int flags);

// `send(2)`. There is no `SIGPIPE`: `EPIPE` says all.
//
// `data` points to `len` octets.
ssize_t tunstack_send(int fd, const void *data, size_t len, int flags);

// `sendto(2)`.
//
// `data` points to `len` octets; `address` is null or points to `address_len` octets.
ssize_t tunstack_sendto(int fd,
                        const void *data,
                        size_t len,
                        int flags,
                        const struct sockaddr *address,
                        socklen_t address_len);

// `recv(2)`.
//
// `buf` has room for `len` octets.
ssize_t tunstack_recv(int fd, void *buf, size_t len, int flags);

// `recvfrom(2)`.
//
// `buf` has room for `len` octets; `address` is null, or `address_len` points to the number of octets that it has room
// for.
ssize_t tunstack_recvfrom(int fd,
                          void *buf,
                          size_t len,
                          int flags,
                          struct sockaddr *address,
                          socklen_t *address_len);

// `read(2)`.
//
// `buf` has room for `len` octets.
ssize_t tunstack_read(int fd, void *buf, size_t len);

// `write(2)`.
//
// `data` points to `len` octets.
ssize_t tunstack_write(int fd, const void *data, size_t len);

// `readv(2)`.
//
// `iov` points to `iovcnt` buffers, each with as many octets as it says.
ssize_t tunstack_readv(int fd, const struct iovec *iov, int iovcnt);

// `writev(2)`.
//
// `iov` points to `iovcnt` buffers, each with as many octets as it says.
ssize_t tunstack_writev(int fd, const struct iovec *iov, int iovcnt);

// `sendmsg(2)`. Of control messages `UDP_SEGMENT` is there; others are refused (`EINVAL`).
//
// `message` points to a message whose pointers are each null or point to as many octets as it says.
ssize_t tunstack_sendmsg(int fd, const struct msghdr *message, int flags);

// `sendfile(2)`, from a file of the kernel's to a socket. The octets are copied.
//
// `offset` is null or points to a number.
ssize_t tunstack_sendfile(int out_fd, int in_fd, off_t *offset, size_t count);

// `recvmsg(2)`. Sets `msg_namelen`, `msg_controllen` and `msg_flags`. With `TCP_INQ` there is a control message
// `TCP_CM_INQ`, and with `UDP_GRO` one of that name.
//
// `message` points to a message whose pointers are each null or point to as many octets as it says.
ssize_t tunstack_recvmsg(int fd,
                         struct msghdr *message,
                         int flags);

// `poll(2)`.
//
// `fds` points to `nfds` descriptors.
int tunstack_poll(struct pollfd *fds, nfds_t nfds, int timeout);

// `select(2)`. What is left of the time is written to `timeout`, as Linux does.
//
// Each set is null or a set, and `timeout` null or a time.
int tunstack_select(int nfds, fd_set *read, fd_set *write, fd_set *except, struct timeval *timeout);

// `epoll_create1(2)`. The descriptor is closed by `tunstack_close`.
int tunstack_epoll_create1(int flags);

// `epoll_ctl(2)`. The kernel's own does as well.
//
// `event` is null or an event.
int tunstack_epoll_ctl(int epfd, int op, int fd, const struct epoll_event *event);

// `epoll_wait(2)`.
//
// `events` has room for `most` events.
int tunstack_epoll_wait(int epfd, struct epoll_event *events, int most, int timeout);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TUNSTACK_H */
