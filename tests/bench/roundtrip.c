/* Connection rate and round-trip time over TCP.
 *
 *     roundtrip serve PORT               prints "ready", then serves both loads
 *     roundtrip connect ADDRESS PORT SECONDS   prints "CONNECTIONS FAILURES SECONDS"
 *     roundtrip talk ADDRESS PORT SECONDS      prints "ROUND_TRIPS P50_US P99_US"
 *
 * `connect`: sixteen threads each open a connection, ask, read the answer to its end and close,
 * over and over. The server closes first, so that TIME-WAIT stays on its side and the client
 * never runs out of ports. `talk`: one connection, one byte there and back. The first byte of a
 * connection tells the server which it is.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    THREADS = 16,          /* enough to keep two cores busy while some wait */
    BACKLOG = 1024,        /* connections waiting to be accepted */
    SAMPLES = 1 << 20,     /* round trips kept for the percentiles */
    LIMIT_S = 3,           /* a transaction that takes longer has failed */
    ONCE = 'c', KEPT = 't' /* first byte of a connection */
};

static struct sockaddr_in peer = {.sin_family = AF_INET};
static int listener;
static double deadline;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec instant;
    clock_gettime(CLOCK_MONOTONIC, &instant);
    return instant.tv_sec + instant.tv_nsec * 1e-9;
}

static int no_delay(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void *serve_connections(void *unused) {
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        no_delay(fd);
        char byte;
        while (read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1 && byte == KEPT)
            ;
        close(fd);
    }
    return unused;
}

static int serve(int port) {
    int on = 1;
    peer.sin_port = htons(port);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&peer, sizeof peer) < 0 || listen(listener, BACKLOG) < 0)
        die("listen");
    puts("ready");
    fflush(stdout);
    pthread_t thread;
    for (int index = 1; index < THREADS; index++)
        pthread_create(&thread, NULL, serve_connections, NULL);
    serve_connections(NULL);
    return 0;
}

static int open_connection(void) {
    struct timeval limit = {LIMIT_S, 0};
    int fd = no_delay(socket(AF_INET, SOCK_STREAM, 0));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&peer, sizeof peer) == 0)
        return fd;
    close(fd);
    return -1;
}

static int transact_once(void) {
    int fd = open_connection();
    if (fd < 0)
        return 0;
    char byte = ONCE, end;
    int done = write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1 && read(fd, &end, 1) == 0;
    close(fd);
    return done;
}

static void *connect_often(void *counts) {
    long *count = counts;
    while (now() < deadline)
        count[transact_once()]++;
    return NULL;
}

static int measure_connections(double seconds) {
    static long counts[THREADS][8]; /* [0] failed, [1] done; padded to a cache line */
    pthread_t threads[THREADS];
    double start = now();
    deadline = start + seconds;
    for (int index = 0; index < THREADS; index++)
        pthread_create(&threads[index], NULL, connect_often, counts[index]);
    long failed = 0, done = 0;
    for (int index = 0; index < THREADS; index++) {
        pthread_join(threads[index], NULL);
        failed += counts[index][0];
        done += counts[index][1];
    }
    printf("%ld %ld %.6f\n", done, failed, now() - start);
    return 0;
}

static int compare(const void *left, const void *right) {
    float difference = *(const float *)left - *(const float *)right;
    return (difference > 0) - (difference < 0);
}

static int measure_round_trips(double seconds) {
    static float samples[SAMPLES];
    int fd = open_connection();
    if (fd < 0)
        die("connect");
    char byte = KEPT;
    int count = 0;
    deadline = now() + seconds;
    for (double before = now(), after; before < deadline && count < SAMPLES; before = after) {
        if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
            die("talk");
        after = now();
        samples[count++] = (after - before) * 1e6;
    }
    qsort(samples, count, sizeof *samples, compare);
    printf("%d %.1f %.1f\n", count, samples[count / 2], samples[count * 99L / 100]);
    return 0;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && !strcmp(argv[1], "serve"))
        return serve(atoi(argv[2]));
    if (argc == 5 && inet_pton(AF_INET, argv[2], &peer.sin_addr) == 1) {
        peer.sin_port = htons(atoi(argv[3]));
        if (!strcmp(argv[1], "connect"))
            return measure_connections(atof(argv[4]));
        if (!strcmp(argv[1], "talk"))
            return measure_round_trips(atof(argv[4]));
    }
    fprintf(stderr, "usage: roundtrip serve PORT | roundtrip connect|talk ADDRESS PORT SECONDS\n");
    return 2;
}
