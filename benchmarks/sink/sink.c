/* A mail server that accepts everything and keeps nothing but counts: fast enough never to be the bottleneck.
 *
 *   sink [-p PORT] [-d MILLISECONDS] [-i FILE] [-c MESSAGES] [-l]
 *
 * -p  the port on 127.0.0.1 (0 lets the system choose); the first line printed is "listening PORT"
 * -d  how long each packet of replies is held back, as a round trip would
 * -i  append the Message-ID of each accepted mail to FILE, one a line
 * -c  close a connection without a word after so many mails
 * -l  do not offer PIPELINING
 *
 * The command COUNT, which no other server knows, is answered with "250 messages N bytes N connections N": what came
 * since the start, over all connections. Bytes are those between DATA's reply and the final dot, headers and dot included.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_SIZE = 1 << 18, LINE_SIZE = 4096, REPLY_SIZE = 4096, MAX_FDS = 65536, MAX_EVENTS = 256 };

struct connection {
    int in_data;
    int after_dot_line;         /* how much of "\r\n.\r\n" the end of the data so far is */
    int is_closing;
    unsigned long carried;
    int has_id, line_length, reply_length;
    char line[LINE_SIZE];       /* the command, or the header line, that is not whole yet */
    char id[512];
    char reply[REPLY_SIZE];
    uint64_t due;               /* when the held back replies go out, in microseconds; 0 for none */
};

static struct connection *connections[MAX_FDS];
static unsigned long messages, bytes, opened;
static unsigned long close_after;
static unsigned delay;
static int offers_pipelining = 1;
static FILE *ids;
static volatile sig_atomic_t is_stopping;

static void stop(int signal_number) { (void)signal_number; is_stopping = 1; }

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_nsec / 1000u;
}

static void say(struct connection *c, const char *text) {
    size_t length = strlen(text);
    if (c->reply_length + length > REPLY_SIZE) return; /* nobody pipelines that much */
    memcpy(c->reply + c->reply_length, text, length);
    c->reply_length += (int)length;
}

static void flush_replies(int fd, struct connection *c) {
    if (c->reply_length && send(fd, c->reply, (size_t)c->reply_length, MSG_NOSIGNAL) < 0 && errno != EAGAIN) c->is_closing = 1;
    c->reply_length = 0;
    c->due = 0;
}

static void take_command(struct connection *c) {
    const char *line = c->line;
    if (!strncasecmp(line, "EHLO", 4))
        say(c, offers_pipelining ? "250-sink.example\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
                                 : "250-sink.example\r\n250 SIZE 52428800\r\n");
    else if (!strncasecmp(line, "DATA", 4)) {
        say(c, "354 go on\r\n");
        c->in_data = 1;
        c->after_dot_line = 2; /* as if a line had just ended: an empty mail begins with its dot */
        c->has_id = 0;
        c->id[0] = 0;
    } else if (!strncasecmp(line, "QUIT", 4)) {
        say(c, "221 2.0.0 bye\r\n");
        c->is_closing = 1;
    } else if (!strncasecmp(line, "MAIL", 4)) say(c, "250 2.1.0 ok\r\n");
    else if (!strncasecmp(line, "RCPT", 4)) say(c, "250 2.1.5 ok\r\n");
    else if (!strncasecmp(line, "COUNT", 5)) {
        char counts[128];
        snprintf(counts, sizeof counts, "250 messages %lu bytes %lu connections %lu\r\n", messages, bytes, opened);
        say(c, counts);
    } else if (!strncasecmp(line, "RSET", 4) || !strncasecmp(line, "NOOP", 4) || !strncasecmp(line, "HELO", 4)) say(c, "250 2.0.0 ok\r\n");
    else say(c, "500 5.5.2 what?\r\n");
}

/* Collect header lines until the Message-ID was seen; returns nothing, since only the benchmark's checks need it. */
static void look_for_id(struct connection *c, const char *data, size_t length) {
    for (size_t i = 0; i < length && !c->has_id; i++) {
        if (data[i] != '\n') {
            if (c->line_length < LINE_SIZE - 1) c->line[c->line_length++] = data[i];
            continue;
        }
        c->line[c->line_length] = 0;
        if (c->line_length <= 1) c->has_id = 1; /* the end of the headers */
        if (!strncasecmp(c->line, "Message-ID:", 11)) {
            sscanf(c->line + 11, " %511s", c->id);
            c->has_id = 1;
        }
        c->line_length = 0;
    }
}

static void accept_message(struct connection *c) {
    messages++;
    c->carried++;
    c->in_data = 0;
    c->line_length = 0;
    if (ids) fprintf(ids, "%s\n", c->id);
    say(c, "250 2.0.0 Ok: queued as 4F1\r\n");
    if (close_after && c->carried >= close_after) c->is_closing = 1;
}

/* Return how many octets belong to the mail. A dot line is looked for at line ends only, by memchr. */
static size_t take_data(struct connection *c, const char *data, size_t length) {
    static const char end[] = "\r\n.\r\n";
    size_t at = 0;
    while (at < length) {
        if (c->after_dot_line == 0) {
            const char *found = memmem(data + at, length - at, end, 5);
            if (found) {
                at = (size_t)(found - data) + 5;
                c->after_dot_line = 5;
            } else {
                int kept = 0;
                for (int k = length - at < 4 ? (int)(length - at) : 4; k > 0 && !kept; k--)
                    if (!memcmp(data + length - k, end, (size_t)k)) kept = k;
                c->after_dot_line = kept;
                at = length;
            }
        } else if (data[at] == end[c->after_dot_line]) {
            c->after_dot_line++;
            at++;
        } else
            c->after_dot_line = data[at] == '\r' ? (at++, 1) : 0;
        if (c->after_dot_line == 5) {
            if (ids) look_for_id(c, data, at);
            bytes += at;
            accept_message(c);
            return at;
        }
    }
    if (ids) look_for_id(c, data, length);
    bytes += length;
    return length;
}

static void take(struct connection *c, const char *data, size_t length) {
    size_t at = 0;
    while (at < length && !c->is_closing) {
        if (c->in_data) {
            at += take_data(c, data + at, length - at);
            continue;
        }
        char octet = data[at++];
        if (octet != '\n') {
            if (c->line_length < LINE_SIZE - 1) c->line[c->line_length++] = octet;
            continue;
        }
        c->line[c->line_length] = 0;
        c->line_length = 0;
        take_command(c);
    }
}

static void drop(int fd) {
    close(fd);
    free(connections[fd]);
    connections[fd] = NULL;
}

static void on_readable(int fd) {
    static char data[READ_SIZE];
    struct connection *c = connections[fd];
    ssize_t length = recv(fd, data, sizeof data, 0);
    if (length <= 0) {
        if (length == 0 || (errno != EAGAIN && errno != EINTR)) drop(fd);
        return;
    }
    take(c, data, (size_t)length);
    if (!delay || c->is_closing) flush_replies(fd, c);
    else if (c->reply_length && !c->due) c->due = now() + delay * 1000u;
    if (c->is_closing) drop(fd);
}

static void on_connect(int listener, int poll) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), on = 1;
    if (fd < 0) return;
    if (fd >= MAX_FDS || !(connections[fd] = calloc(1, sizeof(struct connection)))) {
        close(fd);
        return;
    }
    opened++;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
    say(connections[fd], "220 sink.example ESMTP\r\n");
    flush_replies(fd, connections[fd]);
}

/* Send what is due, and return how many milliseconds the next one is away; -1 when nothing is held back. */
static int send_due(int highest) {
    uint64_t time = now(), next = 0;
    for (int fd = 0; fd <= highest; fd++) {
        struct connection *c = connections[fd];
        if (!c || !c->due) continue;
        if (c->due <= time) flush_replies(fd, c);
        else if (!next || c->due < next) next = c->due;
    }
    return next ? (int)((next - time + 999) / 1000) : -1;
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, size) || listen(fd, 1024)) {
        perror("sink");
        exit(1);
    }
    getsockname(fd, (struct sockaddr *)&address, &size);
    printf("listening %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void serve(int listener) {
    struct epoll_event events[MAX_EVENTS], event = {.events = EPOLLIN, .data.fd = listener};
    int poll = epoll_create1(0), highest = 0;
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    while (!is_stopping) {
        int count = epoll_wait(poll, events, MAX_EVENTS, delay ? send_due(highest) : -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd > highest) highest = fd;
            if (fd == listener) on_connect(listener, poll);
            else if (connections[fd]) on_readable(fd);
        }
    }
}

int main(int argc, char **argv) {
    int option, port = 0;
    while ((option = getopt(argc, argv, "p:d:i:c:l")) != -1) {
        if (option == 'p') port = atoi(optarg);
        else if (option == 'd') delay = (unsigned)atoi(optarg);
        else if (option == 'i') ids = fopen(optarg, "a");
        else if (option == 'c') close_after = strtoul(optarg, NULL, 10);
        else if (option == 'l') offers_pipelining = 0;
        else return 2;
    }
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    serve(listen_on(port));
    if (ids) fclose(ids);
    return 0;
}
