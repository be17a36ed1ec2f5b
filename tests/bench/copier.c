/* The physical limit of a userspace router: two TUN devices, every frame copied across, nothing
 * looked at. Same devices, offloads, burst and buffer as the router; no address translation.
 *
 *     copier NETNS_PATH TUN NETNS_PATH TUN
 *
 * Prints "ready" when both devices are open, then copies until killed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    BURST = 64,            /* frames read per wake-up, as in the router's data plane */
    BUFFER = 10 + 65535,   /* bytes: virtio-net header and the largest IPv4 packet */
    OFFLOADS = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6,
    USO = 0x20 | 0x40,     /* TUN_F_USO4, TUN_F_USO6; Linux 6.2 and later */
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int open_tun(const char *netns, const char *name) {
    int ns = open(netns, O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
        die(netns);
    close(ns);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        die("/dev/net/tun");
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        die(name);
    if (ioctl(fd, TUNSETOFFLOAD, OFFLOADS | USO) < 0 && ioctl(fd, TUNSETOFFLOAD, OFFLOADS) < 0)
        die("TUNSETOFFLOAD");
    return fd;
}

static void copy_burst(int from, int to) {
    static char buffer[BUFFER];
    for (int count = 0; count < BURST; count++) {
        ssize_t length = read(from, buffer, sizeof buffer);
        if (length <= 0)
            return;
        if (write(to, buffer, length) < 0)
            continue; /* a full queue drops, as a network does */
    }
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: copier NETNS_PATH TUN NETNS_PATH TUN\n");
        return 2;
    }
    int tuns[2] = {open_tun(argv[1], argv[2]), open_tun(argv[3], argv[4])};
    int poller = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned side = 0; side < 2; side++) {
        struct epoll_event interest = {.events = EPOLLIN, .data.u32 = side};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, tuns[side], &interest) < 0)
            die("epoll_ctl");
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct epoll_event ready[2];
        int count = epoll_wait(poller, ready, 2, -1);
        for (int index = 0; index < count; index++) {
            unsigned side = ready[index].data.u32;
            copy_burst(tuns[side], tuns[!side]);
        }
    }
}
