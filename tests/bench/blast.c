/* Small-packet rate: one UDP socket sends as fast as it can, another counts what arrives.
 *
 *     blast sink PORT                           prints "ready", then "PACKETS SECONDS"
 *     blast send ADDRESS PORT SIZE SECONDS      prints "PACKETS SECONDS"
 *
 * Both move 64 datagrams per system call (sendmmsg, recvmmsg): iperf3's own cost per datagram is
 * larger than a router's, so it would measure itself. The sink's clock runs from the first
 * arrival to the last; it ends after a silence, or when nothing came at all.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH = 64,               /* datagrams per system call */
    LARGEST = 1500,           /* bytes of one datagram */
    RECEIVE_BUFFER = 4 << 20, /* bytes queued while the sink waits for a core */
    FIRST_WAIT_US = 3000000,  /* for the first datagram */
    SILENCE_US = 300000,      /* that ends a run: a scheduler's hiccup is shorter */
};

static struct mmsghdr messages[BATCH];
static struct iovec vectors[BATCH];
static char payloads[BATCH][LARGEST];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec instant;
    clock_gettime(CLOCK_MONOTONIC, &instant);
    return instant.tv_sec + instant.tv_nsec * 1e-9;
}

static void prepare_batch(size_t size) {
    for (int index = 0; index < BATCH; index++) {
        vectors[index] = (struct iovec){payloads[index], size};
        messages[index].msg_hdr.msg_iov = &vectors[index];
        messages[index].msg_hdr.msg_iovlen = 1;
    }
}

static void set_silence(int fd, long microseconds) {
    struct timeval limit = {microseconds / 1000000, microseconds % 1000000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

static int sink(int port) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    int room = RECEIVE_BUFFER;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (bind(fd, (struct sockaddr *)&local, sizeof local) < 0)
        die("bind");
    set_silence(fd, FIRST_WAIT_US);
    puts("ready");
    fflush(stdout);
    prepare_batch(LARGEST);
    long packets = 0;
    double first = 0, last = 0;
    for (;;) {
        int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
        if (count <= 0)
            break;
        last = now();
        if (packets == 0) {
            first = last;
            set_silence(fd, SILENCE_US);
        }
        packets += count;
    }
    printf("%ld %.6f\n", packets, last - first);
    return 0;
}

static int blast(const char *address, int port, size_t size, double seconds) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in remote = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, address, &remote.sin_addr) != 1 || size > LARGEST) {
        fprintf(stderr, "blast: bad address or size\n");
        return 2;
    }
    if (connect(fd, (struct sockaddr *)&remote, sizeof remote) < 0)
        die("connect");
    prepare_batch(size);
    long packets = 0;
    double start = now(), end = start;
    for (; end - start < seconds; end = now()) {
        int count = sendmmsg(fd, messages, BATCH, 0);
        if (count > 0)
            packets += count;
        else if (errno != ENOBUFS && errno != ECONNREFUSED)
            die("sendmmsg");
    }
    printf("%ld %.6f\n", packets, end - start);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "sink"))
        return sink(atoi(argv[2]));
    if (argc == 6 && !strcmp(argv[1], "send"))
        return blast(argv[2], atoi(argv[3]), atoi(argv[4]), atof(argv[5]));
    fprintf(stderr, "usage: blast sink PORT | blast send ADDRESS PORT SIZE SECONDS\n");
    return 2;
}
