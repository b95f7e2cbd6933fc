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
#include <stdint.h>
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

// What is left to read, told beside what is read.
static void left(int client, int server)
{
    int on = 1, unread;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof unread) + 8], buf[8];
    struct iovec part = {buf, 3};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    assert(tunstack_setsockopt(server, IPPROTO_TCP, TCP_INQ, &on, sizeof on) == 0);
    assert(tunstack_send(client, "0123456789", 10, 0) == 10);
    assert(tunstack_recvmsg(server, &message, 0) == 3 && message.msg_flags == 0);
    struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    assert(message.msg_controllen == CMSG_SPACE(sizeof unread) && first && first->cmsg_len == CMSG_LEN(sizeof unread));
    assert(first->cmsg_level == IPPROTO_TCP && first->cmsg_type == TCP_CM_INQ);
    memcpy(&unread, CMSG_DATA(first), sizeof unread);
    assert(unread == 7 && CMSG_NXTHDR(&message, first) == NULL);

    // Cut where there is too little room for it, and left out where there is none for its head.
    message.msg_controllen = CMSG_LEN(sizeof unread) - 1;
    assert(tunstack_recvmsg(server, &message, 0) == 3 && message.msg_flags == MSG_CTRUNC);
    assert(message.msg_controllen == CMSG_LEN(sizeof unread) - 1);
    assert(CMSG_FIRSTHDR(&message)->cmsg_len == CMSG_LEN(sizeof unread) - 1);
    message.msg_controllen = sizeof(struct cmsghdr) - 1;
    assert(tunstack_recvmsg(server, &message, 0) == 3 && message.msg_flags == MSG_CTRUNC);
    assert(message.msg_controllen == 0);
    on = 0;
    assert(tunstack_setsockopt(server, IPPROTO_TCP, TCP_INQ, &on, sizeof on) == 0);
    message.msg_controllen = sizeof control;
    assert(tunstack_recvmsg(server, &message, 0) == 1 && message.msg_flags == 0 && message.msg_controllen == 0);
}

// From a file, at a place of its own and at the file's.
static void file(int client, int server)
{
    FILE *file = tmpfile();
    char buf[16];
    off_t at = 3;
    assert(file && fwrite("0123456789", 1, 10, file) == 10 && fflush(file) == 0);
    assert(lseek(fileno(file), 2, SEEK_SET) == 2);
    assert(tunstack_sendfile(client, fileno(file), &at, 4) == 4 && at == 7);
    assert(tunstack_sendfile(client, fileno(file), NULL, 100) == 8);
    assert(tunstack_recv(server, buf, 12, MSG_WAITALL) == 12 && memcmp(buf, "345623456789", 12) == 0);
    at = -1;
    assert(tunstack_sendfile(client, fileno(file), &at, 1) == -1 && errno == EINVAL && at == -1);
    assert(tunstack_sendfile(client, -1, NULL, 1) == -1 && errno == EBADF);
    assert(tunstack_sendfile(0, fileno(file), NULL, 1) == -1 && errno == ENOTSOCK);
    fclose(file);
}

// A send that opens: it alone of those on streams goes to its address.
static void opening(struct sockaddr_in at, int listener)
{
    int eager = tunstack_socket(AF_INET, SOCK_STREAM, 0);
    struct iovec part = {"early", 5};
    struct msghdr message = {.msg_name = &at, .msg_namelen = sizeof at, .msg_iov = &part, .msg_iovlen = 1};
    assert(tunstack_sendto(eager, "early", 5, 0, (struct sockaddr *)&at, sizeof at) == -1 && errno == EPIPE);
    assert(tunstack_sendto(eager, "early", 5, MSG_FASTOPEN, NULL, 0) == -1 && errno == EOPNOTSUPP);
    assert(tunstack_sendto(eager, "early", 5, MSG_FASTOPEN, (struct sockaddr *)&at, sizeof at) == 5);
    int other = tunstack_socket(AF_INET, SOCK_STREAM, 0);
    assert(tunstack_sendmsg(other, &message, MSG_FASTOPEN) == 5);
    for (int n = 0; n < 2; n++) {
        char buf[8];
        int accepted = tunstack_accept(listener, NULL, NULL);
        assert(tunstack_recv(accepted, buf, 5, MSG_WAITALL) == 5 && memcmp(buf, "early", 5) == 0);
        assert(tunstack_close(accepted) == 0);
    }
    assert(tunstack_close(eager) == 0 && tunstack_close(other) == 0);
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
    left(client, server);
    file(client, server);

    int copy = tunstack_dup(client);
    assert(copy > 2 && tunstack_dup2(client, copy) == copy && tunstack_close(copy) == 0);
    assert(tunstack_shutdown(client, SHUT_WR) == 0 && tunstack_send(client, "x", 1, 0) == -1 && errno == EPIPE);
    assert(tunstack_poll(fds, 1, -1) == 1 && tunstack_read(server, buf, 1) == 0);
    opening(at, listener);
    assert(tunstack_close(server) == 0 && tunstack_close(client) == 0 && tunstack_close(listener) == 0);
    assert(tunstack_close(listener) == -1 && errno == EBADF);
    assert(tunstack_send(0, "x", 1, 0) == -1 && errno == ENOTSOCK);
}

/* Several datagrams in one call, cut by UDP_SEGMENT and joined by UDP_GRO. */
static void cut(int client, int server)
{
    enum { UDP_SEGMENT_ = 103, UDP_GRO_ = 104 };
    char text[] = "one two three", buf[32];
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {text, 13};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
    struct cmsghdr *first = (struct cmsghdr *)control;
    uint16_t size = 4;
    *first = (struct cmsghdr){CMSG_LEN(sizeof size), IPPROTO_UDP, UDP_SEGMENT_};
    memcpy(CMSG_DATA(first), &size, sizeof size);
    message.msg_controllen = CMSG_SPACE(sizeof size);
    assert(tunstack_sendmsg(client, &message, 0) == 13);
    assert(tunstack_recv(server, buf, sizeof buf, 0) == 4 && memcmp(buf, "one ", 4) == 0);
    int on = 1, joined;
    assert(tunstack_setsockopt(server, IPPROTO_UDP, UDP_GRO_, &on, sizeof on) == 0);
    struct iovec into = {buf, sizeof buf};
    _Alignas(struct cmsghdr) char told[CMSG_SPACE(sizeof joined)];
    struct msghdr got = {.msg_iov = &into, .msg_iovlen = 1, .msg_control = told, .msg_controllen = sizeof told};
    assert(tunstack_recvmsg(server, &got, 0) == 9 && memcmp(buf, "two three", 9) == 0);
    struct cmsghdr *beside = CMSG_FIRSTHDR(&got);
    assert(beside && beside->cmsg_level == IPPROTO_UDP && beside->cmsg_type == UDP_GRO_);
    memcpy(&joined, CMSG_DATA(beside), sizeof joined);
    assert(joined == 4);

    /* What nobody knows is passed over, and the last one counts. */
    struct cmsghdr *second = (struct cmsghdr *)(control + CMSG_SPACE(sizeof size));
    *second = (struct cmsghdr){CMSG_LEN(sizeof on), 999, 1};
    message.msg_controllen = sizeof control;
    assert(tunstack_sendmsg(client, &message, 0) == 13);
    *second = (struct cmsghdr){CMSG_LEN(sizeof size), IPPROTO_UDP, UDP_SEGMENT_};
    memset(CMSG_DATA(second), 0, sizeof size);
    assert(tunstack_sendmsg(client, &message, 0) == 13);
    assert(tunstack_recv(server, buf, sizeof buf, 0) == 13 && tunstack_recv(server, buf, sizeof buf, 0) == 13);
    second->cmsg_len = CMSG_LEN(sizeof on);
    assert(tunstack_sendmsg(client, &message, 0) == -1 && errno == EINVAL);
    second->cmsg_len = sizeof control;
    assert(tunstack_sendmsg(client, &message, 0) == -1 && errno == EINVAL);
    *second = (struct cmsghdr){CMSG_LEN(sizeof on), IPPROTO_IP, IP_TTL};
    assert(tunstack_sendmsg(client, &message, 0) == -1 && errno == EINVAL);
    first->cmsg_len = sizeof *first - 1;
    assert(tunstack_sendmsg(client, &message, 0) == -1 && errno == EINVAL);
    assert(tunstack_recv(server, buf, sizeof buf, MSG_DONTWAIT) == -1 && errno == EAGAIN);
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
    cut(client, server);
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
