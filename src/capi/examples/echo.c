// An echo server in C, with a TCP/IP stack of its own. Build it and run it as root, then type: nc 10.7.0.2 7
//
//     cargo build --release -p tunstack-c
//     cc -I src/capi/include -o echo src/capi/examples/echo.c -L target/release -ltunstack
//     sudo LD_LIBRARY_PATH=target/release ./echo
//
// One thread serves all connections: the kernel's poll waits for the sockets of the stack, and for SIGINT beside them.

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "tunstack.h"

enum { MOST = 1024 };

static int fail(const char *what)
{
    fprintf(stderr, "echo: %s: %s\n", what, strerror(errno));
    return 1;
}

// Sends all of it. The peer may be slow: this server then waits for it, and the others do too.
static int send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = tunstack_send(fd, data, len, 0);
        if (n < 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *device = argc > 1 ? argv[1] : "tun0";
    if (tunstack_start(device, "10.7.0.2/24", "fd07::2/64") < 0) {
        fprintf(stderr, "echo: %s\n", tunstack_error());
        return 1;
    }

    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);

    struct pollfd fds[MOST];
    nfds_t used = 2;
    fds[0] = (struct pollfd){.fd = signalfd(-1, &ends, SFD_CLOEXEC), .events = POLLIN};
    fds[1] = (struct pollfd){.fd = tunstack_socket(AF_INET6, SOCK_STREAM, 0), .events = POLLIN};
    if (fds[0].fd < 0 || fds[1].fd < 0)
        return fail("socket");

    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(7), .sin6_addr = in6addr_any};
    if (tunstack_bind(fds[1].fd, (struct sockaddr *)&any, sizeof any) < 0)
        return fail("bind");
    if (tunstack_listen(fds[1].fd, 128) < 0)
        return fail("listen");
    printf("echo: listens on port 7\n");
    fflush(stdout);

    for (;;) {
        if (poll(fds, used, -1) < 0)
            return fail("poll");
        if (fds[0].revents)
            break;
        for (nfds_t i = used - 1; i > 1; i--) {
            if (!fds[i].revents)
                continue;
            char data[16384];
            ssize_t n = tunstack_recv(fds[i].fd, data, sizeof data, 0);
            if (n > 0 && send_all(fds[i].fd, data, (size_t)n) == 0)
                continue;
            // The end of the data, or of the connection.
            tunstack_close(fds[i].fd);
            fds[i] = fds[--used];
        }
        if (fds[1].revents && used < MOST) {
            int fd = tunstack_accept(fds[1].fd, NULL, NULL);
            if (fd >= 0)
                fds[used++] = (struct pollfd){.fd = fd, .events = POLLIN};
            else if (errno != ECONNABORTED)
                return fail("accept");
        }
    }

    for (nfds_t i = 1; i < used; i++)
        tunstack_close(fds[i].fd);
    if (tunstack_stop(5000) < 0)
        return fail("stop");
    printf("echo: ended\n");
    return 0;
}
