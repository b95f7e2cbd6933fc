// Every function of the library once, from C, over the stack's own loopback: what is checked is that arguments,
// results and structures mean the same on both sides. What the calls do is tested in Rust.

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "tunstack.h"

#undef NDEBUG
#include <assert.h>

static struct sockaddr_in here(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static void heard(int signal)
{
    (void)signal;
}

static void streams(void)
{
    struct sockaddr_in at = here(7), name;
    socklen_t len = sizeof name;
    int listener = tunstack_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    assert(listener > 2);
    assert(tunstack_bind(listener, (struct sockaddr *)&at, sizeof at - 1) == -1 && errno == EINVAL);
    assert(tunstack_bind(listener, (struct sockaddr *)&at, sizeof at) == 0);
    assert(tunstack_listen(listener, 8) == 0);

    int client = tunstack_socket(AF_INET, SOCK_STREAM, 0);
    assert(tunstack_connect(client, NULL, sizeof at) == -1 && errno == EFAULT);
    assert(tunstack_connect(client, (struct sockaddr *)&at, sizeof at) == 0);
    assert(tunstack_getpeername(client, (struct sockaddr *)&name, &len) == 0);
    assert(len == sizeof name && name.sin_port == at.sin_port && name.sin_addr.s_addr == at.sin_addr.s_addr);

    len = 4; // no more than fits, and the true length
    memset(&name, 0xee, sizeof name);
    assert(tunstack_getsockname(client, (struct sockaddr *)&name, &len) == 0 && len == sizeof name);
    assert(name.sin_family == AF_INET && name.sin_addr.s_addr == 0xeeeeeeee);

    len = sizeof name;
    int server = tunstack_accept4(listener, (struct sockaddr *)&name, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert(server > 2 && len == sizeof name && name.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    assert(tunstack_fcntl(server, F_GETFD, 0) == FD_CLOEXEC && fcntl(server, F_GETFD) == FD_CLOEXEC);
    assert(tunstack_fcntl(server, F_GETFL, 0) & O_NONBLOCK);
    assert(tunstack_recv(server, &len, 1, 0) == -1 && errno == EAGAIN);

    int one = 1, value = 0;
    len = sizeof value;
    assert(tunstack_setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    assert(tunstack_getsockopt(client, IPPROTO_TCP, TCP_NODELAY, &value, &len) == 0 && value != 0 && len == 4);
    assert(tunstack_setsockopt(client, IPPROTO_TCP, 9999, &one, sizeof one) == -1 && errno == ENOPROTOOPT);
    struct tcp_info info;
    len = sizeof info;
    assert(tunstack_getsockopt(client, IPPROTO_TCP, TCP_INFO, &info, &len) == 0);
    assert(info.tcpi_state == TCP_ESTABLISHED && info.tcpi_snd_mss > 500);

    assert(tunstack_send(client, "one ", 4, 0) == 4 && tunstack_write(client, "two ", 4) == 4);
    struct iovec parts[2] = {{"thr", 3}, {"ee", 2}};
    assert(tunstack_writev(client, parts, 2) == 5);
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    assert(tunstack_sendmsg(client, &message, 0) == 5);
    assert(tunstack_ioctl(server, FIONREAD, &value) == 0 && value == 18);

    struct pollfd fds[2] = {{.fd = server, .events = POLLIN | POLLOUT}, {.fd = listener, .events = POLLIN}};
    assert(tunstack_poll(fds, 2, -1) == 1 && fds[0].revents == (POLLIN | POLLOUT) && fds[1].revents == 0);
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(server, &readable);
    FD_SET(listener, &readable);
    struct timeval time = {.tv_sec = 5};
    assert(tunstack_select(server + 1, &readable, NULL, NULL, &time) == 1);
    assert(FD_ISSET(server, &readable) && !FD_ISSET(listener, &readable));
    assert(tunstack_poll(fds, (nfds_t)-1, 0) == -1 && errno == EINVAL);
    struct sigaction nothing = {.sa_handler = heard};
    sigaction(SIGALRM, &nothing, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_usec = 100000}, NULL);
    time = (struct timeval){.tv_sec = 5};
    assert(tunstack_select(0, NULL, NULL, NULL, &time) == -1 && errno == EINTR);
    assert(time.tv_sec < 5); // what is left of it

    int epoll = tunstack_epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x1122334455667788}, got[4];
    assert(tunstack_epoll_ctl(epoll, EPOLL_CTL_ADD, server, &event) == 0);
    assert(tunstack_epoll_wait(epoll, got, 4, -1) == 1 && got[0].data.u64 == 0x1122334455667788);
    assert(tunstack_close(epoll) == 0);

    char buf[32];
    assert(tunstack_recv(server, buf, 4, MSG_PEEK) == 4 && memcmp(buf, "one ", 4) == 0);
    assert(tunstack_read(server, buf, 4) == 4 && memcmp(buf, "one ", 4) == 0);
    struct iovec into[2] = {{buf, 4}, {buf + 4, 28}};
    assert(tunstack_readv(server, into, 2) == 14 && memcmp(buf, "two threethree", 14) == 0);

    int copy = tunstack_dup(client);
    assert(copy > 2 && tunstack_dup2(client, copy) == copy && tunstack_close(copy) == 0);
    assert(tunstack_shutdown(client, SHUT_WR) == 0 && tunstack_send(client, "x", 1, 0) == -1 && errno == EPIPE);
    assert(tunstack_poll(fds, 1, -1) == 1 && tunstack_read(server, buf, 1) == 0);
    assert(tunstack_close(server) == 0 && tunstack_close(client) == 0 && tunstack_close(listener) == 0);
    assert(tunstack_close(listener) == -1 && errno == EBADF);
    assert(tunstack_send(0, "x", 1, 0) == -1 && errno == ENOTSOCK);
}

static void datagrams(void)
{
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(53), .sin6_addr = in6addr_loopback}, name;
    int server = tunstack_socket(AF_INET6, SOCK_DGRAM, 0), client = tunstack_socket(AF_INET6, SOCK_DGRAM, 0);
    assert(tunstack_bind(server, (struct sockaddr *)&at, sizeof at) == 0);
    assert(tunstack_sendto(client, "question", 8, 0, (struct sockaddr *)&at, sizeof at) == 8);
    char buf[4];
    socklen_t len = sizeof name;
    assert(tunstack_recvfrom(server, buf, sizeof buf, MSG_PEEK | MSG_TRUNC, (struct sockaddr *)&name, &len) == 8);
    assert(len == sizeof name && IN6_IS_ADDR_LOOPBACK(&name.sin6_addr));
    struct iovec part = {buf, sizeof buf};
    struct msghdr message = {.msg_name = &name, .msg_namelen = sizeof name, .msg_iov = &part, .msg_iovlen = 1};
    assert(tunstack_recvmsg(server, &message, 0) == 4 && message.msg_flags == MSG_TRUNC);
    assert(memcmp(buf, "ques", 4) == 0 && message.msg_namelen == sizeof name);
    assert(tunstack_connect(client, (struct sockaddr *)&at, sizeof at) == 0);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    assert(tunstack_connect(client, &none, sizeof none) == 0);
    assert(tunstack_send(client, "x", 1, 0) == -1 && errno == EDESTADDRREQ);
    assert(tunstack_close(server) == 0 && tunstack_close(client) == 0);
}

int main(void)
{
    assert(tunstack_socket(AF_INET, SOCK_STREAM, 0) == -1 && errno == ENETDOWN);
    assert(tunstack_stop(0) == -1 && errno == ENETDOWN);
    assert(tunstack_start("tun0", "10.7.0.2", NULL) == -1 && errno == EINVAL && strstr(tunstack_error(), "10.7.0.2"));
    assert(tunstack_start_alone() == 0);
    assert(tunstack_start_alone() == -1 && errno == EALREADY);
    streams();
    datagrams();
    assert(tunstack_stop(1000) == 0);
    puts("all is well");
    return 0;
}
