// What calls make of arguments that are wrong, or that Linux passes over: each is made of the kernel and of the library,
// on loopback, and both must say the same.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tunstack.h"

#undef NDEBUG
#include <assert.h>

struct calls {
    int (*socket)(int, int, int);
    int (*bind)(int, const struct sockaddr *, socklen_t);
    int (*listen)(int, int);
    int (*connect)(int, const struct sockaddr *, socklen_t);
    int (*accept4)(int, struct sockaddr *, socklen_t *, int);
    int (*getsockname)(int, struct sockaddr *, socklen_t *);
    int (*getpeername)(int, struct sockaddr *, socklen_t *);
    ssize_t (*sendto)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
    ssize_t (*recvfrom)(int, void *, size_t, int, struct sockaddr *, socklen_t *);
    ssize_t (*sendmsg)(int, const struct msghdr *, int);
    ssize_t (*recvmsg)(int, struct msghdr *, int);
    ssize_t (*readv)(int, const struct iovec *, int);
    ssize_t (*writev)(int, const struct iovec *, int);
    int (*setsockopt)(int, int, int, const void *, socklen_t);
    int (*getsockopt)(int, int, int, void *, socklen_t *);
    int (*close)(int);
};

static int kernel_bind(int fd, const struct sockaddr *a, socklen_t len) { return bind(fd, a, len); }
static int kernel_connect(int fd, const struct sockaddr *a, socklen_t len) { return connect(fd, a, len); }
static int kernel_accept4(int fd, struct sockaddr *a, socklen_t *len, int f) { return accept4(fd, a, len, f); }
static int kernel_getsockname(int fd, struct sockaddr *a, socklen_t *len) { return getsockname(fd, a, len); }
static int kernel_getpeername(int fd, struct sockaddr *a, socklen_t *len) { return getpeername(fd, a, len); }
static ssize_t kernel_sendto(int fd, const void *d, size_t n, int f, const struct sockaddr *a, socklen_t len)
{
    return sendto(fd, d, n, f, a, len);
}
static ssize_t kernel_recvfrom(int fd, void *d, size_t n, int f, struct sockaddr *a, socklen_t *len)
{
    return recvfrom(fd, d, n, f, a, len);
}

static const struct calls KERNEL = {
    socket, kernel_bind, listen, kernel_connect, kernel_accept4, kernel_getsockname, kernel_getpeername, kernel_sendto,
    kernel_recvfrom, sendmsg, recvmsg, readv, writev, setsockopt, getsockopt, close,
};
static const struct calls OURS = {
    tunstack_socket, tunstack_bind, tunstack_listen, tunstack_connect, tunstack_accept4, tunstack_getsockname,
    tunstack_getpeername, tunstack_sendto, tunstack_recvfrom, tunstack_sendmsg, tunstack_recvmsg, tunstack_readv,
    tunstack_writev, tunstack_setsockopt, tunstack_getsockopt, tunstack_close,
};

enum { MOST = 1024 };
static struct said { char what[160]; long result; int error; } said[2][MOST];
static int rows;

// Makes a call of the system `s` and keeps what it said.
#define ROW(...) ROW_OF("", __VA_ARGS__)
#define ROW_OF(of, ...)                                                                                       \
    do {                                                                                                      \
        assert(rows < MOST);                                                                                  \
        struct said *row = &said[s == &OURS][rows++];                                                         \
        snprintf(row->what, sizeof row->what, "%s%s", of, #__VA_ARGS__);                                      \
        errno = 0;                                                                                            \
        row->result = (long)(s->__VA_ARGS__);                                                                 \
        row->error = row->result < 0 ? errno : 0;                                                             \
    } while (0)

static char octets[128];
static struct sockaddr *const ADDRESS = (struct sockaddr *)octets;

// An address with the layout of IPv4's, whatever its family.
static struct sockaddr *address(int family, int port, uint32_t ip)
{
    struct sockaddr_in a = {.sin_family = (sa_family_t)family, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(ip)};
    memset(octets, 0, sizeof octets);
    memcpy(octets, &a, sizeof a);
    return ADDRESS;
}

// A number that is none, and one that is of no socket, are seen before anything else.
static void numbers(const struct calls *s)
{
    struct msghdr long_one = {.msg_iovlen = 5000};
    address(AF_INET, 9, INADDR_LOOPBACK);
    for (int fd = -1; fd < 1; fd++) {
        const char *of = fd < 0 ? "fd -1: " : "fd 0: ";
        ROW_OF(of, bind(fd, NULL, 0));
        ROW_OF(of, bind(fd, NULL, 16));
        ROW_OF(of, bind(fd, ADDRESS, 1));
        ROW_OF(of, connect(fd, NULL, 0));
        ROW_OF(of, connect(fd, ADDRESS, 1));
        ROW_OF(of, getsockname(fd, NULL, NULL));
        ROW_OF(of, getpeername(fd, NULL, NULL));
        ROW_OF(of, accept4(fd, NULL, NULL, 0));
        ROW_OF(of, accept4(fd, NULL, NULL, 77));
        ROW_OF(of, sendto(fd, "x", 1, 0, NULL, 5));
        ROW_OF(of, sendto(fd, "x", 1, 0, ADDRESS, 1));
        ROW_OF(of, sendto(fd, "x", 1, 0, ADDRESS, (socklen_t)-1));
        ROW_OF(of, sendto(fd, NULL, 1, 0, NULL, 0));
        ROW_OF(of, recvfrom(fd, NULL, 1, 0, NULL, NULL));
        ROW_OF(of, sendmsg(fd, NULL, 0));
        ROW_OF(of, sendmsg(fd, &long_one, 0));
        ROW_OF(of, recvmsg(fd, NULL, 0));
        ROW_OF(of, recvmsg(fd, &long_one, 0));
        ROW_OF(of, setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, NULL, 4));
        ROW_OF(of, getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, NULL, NULL));
    }
    // 0 is a file, of which these calls may be made.
    ROW(readv(-1, NULL, -1));
    ROW(readv(-1, NULL, 5));
    ROW(writev(-1, NULL, 5));
    ROW(writev(-1, NULL, 5000));
}

static void binding(const struct calls *s, int domain, int type, const char *of)
{
    static const struct { int family; socklen_t len; uint32_t ip; } WAYS[] = {
        {AF_UNSPEC, 0, 0}, {AF_UNSPEC, 1, 0}, {AF_UNSPEC, 2, 0}, {AF_UNSPEC, 15, 0}, {AF_UNSPEC, 16, 0},
        {AF_UNSPEC, 24, 0}, {AF_UNSPEC, 28, 0}, {AF_UNSPEC, 128, 0}, {AF_UNSPEC, 129, 0}, {AF_UNSPEC, (socklen_t)-1, 0},
        {AF_UNSPEC, 16, INADDR_LOOPBACK}, {AF_UNSPEC, 16, 0x09000001}, {AF_UNSPEC, 28, INADDR_LOOPBACK},
        {AF_INET, 2, 0}, {AF_INET, 15, 0}, {AF_INET, 16, 0}, {AF_INET, 28, 0},
        {AF_INET6, 2, 0}, {AF_INET6, 16, 0}, {AF_INET6, 23, 0}, {AF_INET6, 24, 0}, {AF_INET6, 28, 0},
        {0xee, 2, 0}, {0xee, 15, 0}, {0xee, 16, 0}, {0xee, 24, 0}, {0xee, 28, 0},
    };
    for (size_t n = 0; n < sizeof WAYS / sizeof *WAYS; n++) {
        char way[64];
        snprintf(way, sizeof way, "%s family %d, %d octets, %#x: ", of, WAYS[n].family, (int)WAYS[n].len, WAYS[n].ip);
        int fd = s->socket(domain, type, 0);
        address(WAYS[n].family, 0, WAYS[n].ip);
        ROW_OF(way, bind(fd, ADDRESS, WAYS[n].len));
        s->close(fd);
        fd = s->socket(domain, type, 0);
        ROW_OF(way, connect(fd, ADDRESS, WAYS[n].len));
        s->close(fd);
    }
    int fd = s->socket(domain, type, 0);
    ROW_OF(of, bind(fd, NULL, 0));
    ROW_OF(of, bind(fd, NULL, 16));
    ROW_OF(of, connect(fd, NULL, 0));
    ROW_OF(of, connect(fd, NULL, 16));
    // The port of an address without a family counts.
    struct sockaddr_in name = {0};
    socklen_t len = sizeof name;
    address(AF_UNSPEC, 4711, INADDR_ANY);
    ROW_OF(of, bind(fd, ADDRESS, 16));
    ROW_OF(of, getsockname(fd, (struct sockaddr *)&name, &len));
    said[s == &OURS][rows++] = (struct said){"the port that an address without a family names", ntohs(name.sin_port), 0};
    s->close(fd);
}

// All that `sendto` and `sendmsg` may name.
static void sending(const struct calls *s, int fd, const char *of, const struct sockaddr *good, socklen_t good_len)
{
    static const struct { int family; socklen_t len; int port; } WAYS[] = {
        {AF_UNSPEC, 0, 0}, {AF_UNSPEC, 1, 0}, {AF_UNSPEC, 2, 0}, {AF_UNSPEC, 15, 0}, {AF_UNSPEC, 16, 0},
        {AF_UNSPEC, 16, 9}, {AF_UNSPEC, 28, 9},
        {AF_INET, 1, 9}, {AF_INET, 2, 9}, {AF_INET, 15, 9}, {AF_INET, 16, 0},
        {AF_INET6, 2, 9}, {AF_INET6, 15, 9}, {AF_INET6, 16, 9}, {AF_INET6, 23, 9}, {AF_INET6, 24, 0},
        {0xee, 1, 9}, {0xee, 2, 9}, {0xee, 15, 9}, {0xee, 16, 9}, {0xee, 28, 9}, {0xee, 128, 9}, {0xee, 129, 9},
        {0xee, (socklen_t)-1, 9},
    };
    struct iovec part = {"x", 1};
    for (size_t n = 0; n < sizeof WAYS / sizeof *WAYS; n++) {
        char way[64];
        snprintf(way, sizeof way, "%s family %d, %d octets, port %d: ", of, WAYS[n].family, (int)WAYS[n].len, WAYS[n].port);
        address(WAYS[n].family, WAYS[n].port, INADDR_LOOPBACK);
        struct msghdr message = {.msg_name = ADDRESS, .msg_namelen = WAYS[n].len, .msg_iov = &part, .msg_iovlen = 1};
        ROW_OF(way, sendto(fd, "x", 1, 0, ADDRESS, WAYS[n].len));
        ROW_OF(way, sendmsg(fd, &message, 0));
    }
    struct msghdr message = {.msg_namelen = (socklen_t)-1, .msg_iov = &part, .msg_iovlen = 1};
    ROW_OF(of, sendmsg(fd, &message, 0));
    ROW_OF(of, sendto(fd, "x", 1, 0, NULL, 129));
    ROW_OF(of, sendto(fd, "x", 1, 0, NULL, (socklen_t)-1));
    ROW_OF(of, sendto(fd, "x", 1, 0, good, good_len));
    if (good_len)
        ROW_OF(of, sendto(fd, NULL, 1, 0, good, good_len));
    memset(octets, 0xee, sizeof octets);
    if (good_len)
        ROW_OF(of, sendto(fd, NULL, 1, 0, ADDRESS, 1));
    ROW_OF(of, sendto(fd, "x", 1, 0, ADDRESS, 16));
}

static void all(const struct calls *s)
{
    rows = 0;
    numbers(s);
    static const struct { int domain; const char *tcp, *udp; } FAMILIES[] = {
        {AF_INET, "tcp4", "udp4"}, {AF_INET6, "tcp6", "udp6"},
    };
    for (size_t n = 0; n < 2; n++) {
        int domain = FAMILIES[n].domain;
        binding(s, domain, SOCK_STREAM, FAMILIES[n].tcp);
        binding(s, domain, SOCK_DGRAM, FAMILIES[n].udp);

        struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
        struct sockaddr *at = (struct sockaddr *)&name;
        socklen_t len = domain == AF_INET ? sizeof(struct sockaddr_in) : sizeof name;
        if (domain == AF_INET)
            memcpy(at, address(AF_INET, 0, INADDR_LOOPBACK), len);

        int listener = s->socket(domain, SOCK_STREAM, 0), client = s->socket(domain, SOCK_STREAM, 0);
        sending(s, client, "fresh stream", NULL, 0);
        assert(s->bind(listener, at, len) == 0 && s->listen(listener, 1) == 0 && s->getsockname(listener, at, &len) == 0);
        assert(s->connect(client, at, len) == 0);
        sending(s, client, FAMILIES[n].tcp, at, len);
        // Whether it is connected comes before which address it is.
        ROW(connect(client, at, 1));
        ROW(connect(client, at, 2));
        ROW(connect(client, at, 15));
        ROW(connect(client, ADDRESS, 28));
        s->close(client);
        s->close(listener);

        int server = s->socket(domain, SOCK_DGRAM, 0), sender = s->socket(domain, SOCK_DGRAM, 0);
        name.sin6_port = 0;
        assert(s->bind(server, at, len) == 0 && s->getsockname(server, at, &len) == 0);
        sending(s, sender, FAMILIES[n].udp, at, len);
        assert(s->connect(sender, at, len) == 0);
        sending(s, sender, "connected datagrams", at, len);
        s->close(server);
        s->close(sender);
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); // which the kernel raises, and the library does not
    assert(tunstack_start_alone() == 0);
    all(&KERNEL);
    int made = rows, differ = 0;
    all(&OURS);
    assert(rows == made);
    for (int n = 0; n < rows; n++) {
        const struct said *linux_said = &said[0][n], *we_said = &said[1][n];
        assert(strcmp(linux_said->what, we_said->what) == 0);
        if (linux_said->result == we_said->result && linux_said->error == we_said->error)
            continue;
        differ++;
        fprintf(stderr, "%s: Linux %ld %s, here %ld %s\n", linux_said->what, linux_said->result,
                linux_said->error ? strerrorname_np(linux_said->error) : "", we_said->result,
                we_said->error ? strerrorname_np(we_said->error) : "");
    }
    assert(tunstack_stop(1000) == 0);
    printf("%d rows, %d differ\n", rows, differ);
    return differ > 0;
}
