// What the original packetdrill does with the library, in short: loads it, makes calls through its table, hands packets over
// and takes packets, while time goes on as the library says. Prints nothing and exits with 0 if all is right.
//
//   host LIBRARY --local_ip=192.168.0.1
//   host LIBRARY --local_ip=192.168.0.1 splice
//   host LIBRARY --local_ip=192.168.0.1 command LINE
//
// The third runs a line of commands as the tool does, and exits with 3 if the stack paces then, 0 if not. The second is the tool as it is: its main thread does nothing while the other is at a splice. It is the library that has
// to end it.

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// In the order in which the tool has them.
struct table {
    void *user;
    void (*free)(void *);
    int (*socket)(void *, int, int, int);
    int (*bind)(void *, int, const struct sockaddr *, socklen_t);
    int (*listen)(void *, int, int);
    int (*accept)(void *, int, struct sockaddr *, socklen_t *);
    int (*connect)(void *, int, const struct sockaddr *, socklen_t);
    ssize_t (*read)(void *, int, void *, size_t);
    ssize_t (*readv)(void *, int, const struct iovec *, int);
    ssize_t (*recv)(void *, int, void *, size_t, int);
    ssize_t (*recvfrom)(void *, int, void *, size_t, int, struct sockaddr *, socklen_t *);
    ssize_t (*recvmsg)(void *, int, struct msghdr *, int);
    ssize_t (*write)(void *, int, const void *, size_t);
    ssize_t (*writev)(void *, int, const struct iovec *, int);
    ssize_t (*send)(void *, int, const void *, size_t, int);
    ssize_t (*sendto)(void *, int, const void *, size_t, int, const struct sockaddr *, socklen_t);
    ssize_t (*sendmsg)(void *, int, const struct msghdr *, int);
    int (*fcntl)(void *, int, int, ...);
    int (*ioctl)(void *, int, unsigned long, ...);
    int (*close)(void *, int);
    int (*shutdown)(void *, int, int);
    int (*getsockopt)(void *, int, int, int, void *, socklen_t *);
    int (*setsockopt)(void *, int, int, int, const void *, socklen_t);
    int (*poll)(void *, struct pollfd *, nfds_t, int);
    int (*packet_in)(void *, const void *, size_t);
    int (*packet_out)(void *, void *, size_t *, long long *);
    int (*usleep)(void *, useconds_t);
    int (*gettimeofday)(void *, struct timeval *, struct timezone *);
    int (*epoll_create)(void *, int);
    int (*epoll_ctl)(void *, int, int, int, struct epoll_event *);
    int (*epoll_wait)(void *, int, struct epoll_event *, int, int);
    int (*pipe)(void *, int[2]);
    int (*splice)(void *, int, loff_t *, int, loff_t *, size_t, unsigned int);
};

static struct table stack;

#define CHECK(what)                                                        \
    do {                                                                   \
        if (!(what)) {                                                     \
            fprintf(stderr, "host.c:%d: %s (%s)\n", __LINE__, #what, strerror(errno)); \
            exit(1);                                                       \
        }                                                                  \
    } while (0)

struct segment {
    struct iphdr ip;
    struct tcphdr tcp;
    unsigned char data[1460];
};

static unsigned sum(const void *from, size_t len, unsigned start) {
    const unsigned char *octets = from;
    for (size_t i = 0; i < len; i++)
        start += (i & 1) ? octets[i] : (unsigned)octets[i] << 8;
    return start;
}

static unsigned short fold(unsigned total) {
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return htons((unsigned short)~total);
}

// The checksum of a segment, with the field as it is.
static unsigned short tcp_sum(const struct segment *s, size_t len) {
    unsigned pseudo = sum(&s->ip.saddr, 8, IPPROTO_TCP + (unsigned)len);
    return fold(sum(&s->tcp, len, pseudo));
}

static void in(unsigned seq, unsigned ack, int syn, size_t len) {
    struct segment s;
    memset(&s, 0, sizeof s);
    size_t tcp_len = sizeof s.tcp + len;
    s.ip.version = 4;
    s.ip.ihl = 5;
    s.ip.ttl = 64;
    s.ip.protocol = IPPROTO_TCP;
    s.ip.tot_len = htons((unsigned short)(sizeof s.ip + tcp_len));
    inet_pton(AF_INET, "192.0.2.1", &s.ip.saddr);
    inet_pton(AF_INET, "192.168.0.1", &s.ip.daddr);
    s.ip.check = fold(sum(&s.ip, sizeof s.ip, 0));
    s.tcp.source = htons(12345);
    s.tcp.dest = htons(8080);
    s.tcp.seq = htonl(seq);
    s.tcp.ack_seq = htonl(ack);
    s.tcp.doff = 5;
    s.tcp.syn = syn;
    s.tcp.ack = !syn;
    s.tcp.window = htons(10000);
    memset(s.data, 'x', len);
    s.tcp.check = tcp_sum(&s, tcp_len);
    CHECK(stack.packet_in(stack.user, &s, sizeof s.ip + tcp_len) == 0);
}

// The next segment from the stack and its time.
static long long out(struct segment *s) {
    size_t len = sizeof *s;
    long long when = 0;
    CHECK(stack.packet_out(stack.user, s, &len, &when) == 0 && len >= 40);
    CHECK(len == ntohs(s->ip.tot_len));
    CHECK(sum(&s->ip, sizeof s->ip, 0) % 0xffff == 0);
    CHECK(tcp_sum(s, len - sizeof s->ip) == 0);
    return when;
}

static long long now(void) {
    struct timeval tv;
    CHECK(stack.gettimeofday(stack.user, &tv, NULL) == 0);
    return tv.tv_sec * 1000000LL + tv.tv_usec;
}

// By the machine's clock.
static long long wall(void) {
    struct timespec ts;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

struct reading {
    int fd;
    // Where a splice brings it; 0: it is read.
    int pipe;
    ssize_t got;
    long long ended;
};

static void *reader(void *argument) {
    struct reading *reading = argument;
    char buf[100];
    loff_t zero = 0;
    if (reading->pipe)
        reading->got = stack.splice(stack.user, reading->fd, &zero, reading->pipe, &zero, 100, 0);
    else
        reading->got = stack.read(stack.user, reading->fd, buf, sizeof buf);
    reading->ended = now();
    return NULL;
}

int main(int count, char **words) {
    CHECK(count >= 3 && count <= 5);
    void *library = dlopen(words[1], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE | RTLD_DEEPBIND);
    if (!library)
        fprintf(stderr, "%s\n", dlerror());
    CHECK(library);
    void (*init)(const char *, struct table *);
    *(void **)&init = dlsym(library, "packetdrill_interface_init");
    CHECK(init);
    init(NULL, &stack);
    // Whether it ended well is for the library to see.
    if (count == 5)
        CHECK(system(words[4]) != -1);

    int listener = stack.socket(stack.user, AF_INET, SOCK_STREAM, 0);
    CHECK(listener >= 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(8080)};
    inet_pton(AF_INET, "192.168.0.1", &name.sin_addr);
    CHECK(stack.bind(stack.user, listener, (struct sockaddr *)&name, sizeof name) == 0);
    CHECK(stack.listen(stack.user, listener, 1) == 0);

    // A connection, and time that goes by only as it is asked to.
    long long began = now();
    struct segment s;
    in(1000, 0, 1, 0);
    // The tool looks when an event has ended, and counts from then to what the event sent: that is not earlier.
    long long ended = now();
    CHECK(out(&s) == ended && now() == ended);
    CHECK(ended - began < 1000 && s.tcp.syn && s.tcp.ack && ntohl(s.tcp.ack_seq) == 1001);
    unsigned iss = ntohl(s.tcp.seq);
    CHECK(stack.usleep(stack.user, 100000) == 0);
    CHECK(now() - began >= 100000 && now() - began < 101000);
    in(1001, iss + 1, 0, 0);
    int fd = stack.accept(stack.user, listener, NULL, NULL);
    CHECK(fd >= 0);

    if (count == 5) {
        // Whatever the machine has: BBR paces by itself.
        CHECK(stack.setsockopt(stack.user, fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0);
        // Of a young connection an initial window leaves at once; what comes after it does not where it is paced.
        char much[5000] = {0};
        long long before = 0, after = 0;
        for (unsigned end = iss + 1, rounds = 3; rounds; rounds--) {
            CHECK(stack.write(stack.user, fd, much, sizeof much) == sizeof much);
            end += sizeof much;
            before = after = out(&s);
            while (ntohl(s.tcp.seq) + ntohs(s.ip.tot_len) - sizeof s.ip - 4 * s.tcp.doff != end)
                after = out(&s);
            CHECK(stack.usleep(stack.user, 100000) == 0);
            in(1001, end, 0, 0);
        }
        return after > before ? 3 : 0;
    }

    // What was written leaves at once, and again when its time is over, which takes no time.
    ended = now();
    CHECK(stack.write(stack.user, fd, "abc", 3) == 3 && now() == ended);
    long long first = out(&s);
    CHECK(first == ended && now() == ended);
    // It waits by looking, and time goes on.
    CHECK(now() == ended + 1 && now() == ended + 2);
    CHECK(ntohl(s.tcp.seq) == iss + 1 && memcmp((char *)&s.tcp + 4 * s.tcp.doff, "abc", 3) == 0);
    long long again = out(&s);
    CHECK(ntohl(s.tcp.seq) == iss + 1 && again - first >= 200000 && again - first <= 1000000);
    in(1001, iss + 4, 0, 0);

    // A call that waits does so on a thread of its own, until the packet comes and no longer.
    struct reading reading = {.fd = fd};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, reader, &reading) == 0);
    // The tool looks until the thread sleeps; a moment does as well.
    usleep(200000);
    CHECK(stack.usleep(stack.user, 3600 * 1000000u) == 0);
    long long came = now();
    in(1001, iss + 4, 0, 50);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(reading.got == 50 && reading.ended >= came && reading.ended - came < 1000);

    // So does a splice, where the main thread goes on meanwhile.
    int pipes[2];
    CHECK(stack.pipe(stack.user, pipes) == 0);
    reading.pipe = pipes[1];
    CHECK(pthread_create(&thread, NULL, reader, &reading) == 0);
    if (count == 4) {
        pthread_join(thread, NULL);
        CHECK(!"a splice ended for which nothing had come");
    }
    usleep(200000);
    CHECK(stack.usleep(stack.user, 100000) == 0);
    came = now();
    in(1051, iss + 4, 0, 60);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(reading.got == 60 && reading.ended >= came && reading.ended - came < 1000);
    char buf[60];
    CHECK(stack.read(stack.user, pipes[0], buf, sizeof buf) == 60 && buf[59] == 'x');
    long long spliced = wall();

    // What goes to the process's own function when the library is preloaded.
    struct tcp_info info;
    socklen_t len = sizeof info;
    CHECK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_state == TCP_ESTABLISHED);
    int type = 0, pair[2];
    len = sizeof type;
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    CHECK(getsockopt(pair[0], SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET);

    // Errors are those of the calls, and epoll and pipes are real.
    CHECK(stack.write(stack.user, 999, "x", 1) == -1 && errno == EBADF);
    int epoll = stack.epoll_create(stack.user, 1);
    struct epoll_event event = {.events = EPOLLOUT, .data.fd = fd};
    CHECK(stack.epoll_ctl(stack.user, epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    CHECK(stack.epoll_wait(stack.user, epoll, &event, 1, 0) == 1 && event.data.fd == fd);
    CHECK(stack.write(stack.user, pipes[1], "pipe", 4) == 4);
    CHECK(stack.read(stack.user, pipes[0], buf, sizeof buf) == 4);
    in(1111, iss + 4, 0, 8);
    loff_t zero = 0;
    CHECK(stack.splice(stack.user, fd, &zero, pipes[1], &zero, 100, 0) == 8);
    CHECK(stack.read(stack.user, pipes[0], buf, sizeof buf) == 8 && buf[7] == 'x');

    // Nothing comes after the splice that waited.
    while (wall() - spliced < 2500000)
        usleep(10000);

    // The tool closes what is left by the process's own function.
    CHECK(stack.close(stack.user, epoll) == 0 && close(fd) == 0);
    stack.free(stack.user);
    return 0;
}
