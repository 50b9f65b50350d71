/* The fastest client that a mail server could have: the same octets again and again, everything pipelined (RFC 2920).
 *
 *   feed PORT CONNECTIONS MESSAGES SIZE
 *
 * It shows what the sink takes, so that no figure of the benchmarks can be the sink's own limit. Each connection writes
 * [body, dot, MAIL, RCPT, DATA] in one go and waits for the replies to all of them, as a careful client does too.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 1000 };
static const char envelope[] = "MAIL FROM:<bounces@news.example.org>\r\nRCPT TO:<reader@example.org>\r\nDATA\r\n";

struct client {
    int fd;
    int awaited;         /* lines of replies that are still to come before the next body may go */
    size_t written;      /* of the group that is being written */
};

static struct client clients[MAX_CONNECTIONS];
static char *group;      /* body, dot, and the next mail's envelope */
static size_t group_length;
static long left;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void watch(int poll, struct client *c, unsigned events, int operation) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(poll, operation, c->fd, &event)) die("epoll_ctl");
}

static void write_group(int poll, struct client *c) {
    while (c->written < group_length) {
        ssize_t sent = send(c->fd, group + c->written, group_length - c->written, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            watch(poll, c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            return;
        }
        if (sent < 0) die("send");
        c->written += (size_t)sent;
    }
    watch(poll, c, EPOLLIN, EPOLL_CTL_MOD);
}

/* When all are there, the envelope of the next mail is accepted too. Return whether the connection has nothing more to do. */
static int read_replies(int poll, struct client *c) {
    char data[4096];
    ssize_t length = recv(c->fd, data, sizeof data, 0);
    if (length <= 0) die("recv");
    for (ssize_t i = 0; i < length; i++) c->awaited -= data[i] == '\n';
    if (c->awaited > 0) return 0;
    if (left-- < 1) return 1;
    c->awaited = 4;
    c->written = 0;
    write_group(poll, c);
    return 0;
}

static void open_connection(int poll, struct client *c, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address)) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (send(c->fd, envelope, sizeof envelope - 1, MSG_NOSIGNAL) < 0) die("send");
    c->awaited = 4; /* the greeting, and three replies */
    watch(poll, c, EPOLLIN, EPOLL_CTL_ADD);
}

static void make_group(size_t size) {
    static const char line[] = "The same words in every mail, since only carrying them is what is measured\r\n";
    group = malloc(size + sizeof line + sizeof envelope + 64);
    if (!group) die("malloc");
    strcpy(group, "Subject: benchmark\r\nMessage-ID: <1@news.example.org>\r\n\r\n");
    while (strlen(group) + 3 < size) strcat(group, line);
    strcat(strcat(group, ".\r\n"), envelope);
    group_length = strlen(group);
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int count = atoi(argv[2]), poll = epoll_create1(0), open_count = count;
    left = atol(argv[3]);
    make_group(strtoul(argv[4], NULL, 10));
    if (count < 1 || count > MAX_CONNECTIONS) return 2;
    for (int i = 0; i < count; i++) open_connection(poll, &clients[i], atoi(argv[1]));
    struct epoll_event events[64];
    while (open_count) {
        int ready = epoll_wait(poll, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            struct client *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) write_group(poll, c);
            if (events[i].events & EPOLLIN && read_replies(poll, c)) {
                close(c->fd);
                open_count--;
            }
        }
    }
    return 0;
}
