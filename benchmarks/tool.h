/* What both benchmark tools share: clock, growable bytes, options, and HTTP/1.1 message parsing.
 *
 * Loopback only, on purpose: these tools produce load and must not be pointed at somebody else. */
#ifndef SANTRAL_TOOL_H
#define SANTRAL_TOOL_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_HEAD 65536               /* chosen: more than any gateway sends */
#define MAX_BODY (16u * 1024 * 1024) /* chosen: a scripted answer is some kB */

static inline void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(2);
}

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- bytes that grow ---- */

struct Bytes {
    char *data;
    size_t len, cap;
};

static inline void bytes_add(struct Bytes *b, const char *data, size_t len) {
    if (b->len + len + 1 > b->cap) {
        size_t cap = b->cap ? b->cap : 1024;
        while (cap < b->len + len + 1) cap *= 2;
        b->data = realloc(b->data, cap);
        if (!b->data) die("out of memory");
        b->cap = cap;
    }
    if (len) memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = 0;
}

static inline void bytes_text(struct Bytes *b, const char *text) { bytes_add(b, text, strlen(text)); }

static inline void bytes_drop(struct Bytes *b, size_t len) { /* forget the first `len` bytes */
    memmove(b->data, b->data + len, b->len - len);
    b->len -= len;
}

static inline struct Bytes bytes_of_file(const char *path) {
    struct Bytes b = {0};
    char part[65536];
    size_t got;
    FILE *file = fopen(path, "rb");
    if (!file) die("cannot read %s: %s", path, strerror(errno));
    while ((got = fread(part, 1, sizeof part, file)) > 0) bytes_add(&b, part, got);
    fclose(file);
    if (!b.data) bytes_text(&b, "");
    return b;
}

/* ---- options: --name value ---- */

static inline double number_option(const char *name, const char *text, double low, double high) {
    char *end;
    double value = strtod(text, &end);
    if (*end || end == text || !(value >= low && value <= high))
        die("%s takes a number from %.0f to %.0f, not '%s'", name, low, high, text);
    return value;
}

static inline struct sockaddr_in loopback(const char *host, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 ||
        (ntohl(address.sin_addr.s_addr) >> 24) != 127)
        die("%s is not a loopback address; this tool only talks to 127.0.0.0/8", host);
    return address;
}

static inline void without_delay(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static inline void wake_at(int timer, uint64_t at_ns) { /* at_ns 0 disarms */
    struct itimerspec when = {0};
    when.it_value.tv_sec = (time_t)(at_ns / 1000000000u);
    when.it_value.tv_nsec = (long)(at_ns % 1000000000u);
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* ---- HTTP/1.1 ---- */

/* Length of the head with its blank line, or 0 while it is not whole. */
static inline size_t head_length(const struct Bytes *b) {
    char *end = b->len ? memmem(b->data, b->len, "\r\n\r\n", 4) : NULL;
    return end ? (size_t)(end - b->data) + 4 : 0;
}

/* Value of a header of the head's first `len` bytes, trimmed on the left, or NULL. */
static inline const char *head_value(const char *head, size_t len, const char *name, size_t *size) {
    size_t name_len = strlen(name);
    const char *line = memchr(head, '\n', len);
    while (line && ++line < head + len) {
        const char *end = memchr(line, '\r', (size_t)(head + len - line));
        if (!end || end == line) return NULL;
        if ((size_t)(end - line) > name_len && line[name_len] == ':' &&
            !strncasecmp(line, name, name_len)) {
            const char *value = line + name_len + 1;
            while (value < end && *value == ' ') value++;
            *size = (size_t)(end - value);
            return value;
        }
        line = memchr(end, '\n', (size_t)(head + len - end));
    }
    return NULL;
}

static inline bool head_says(const char *head, size_t len, const char *name, const char *value) {
    size_t size;
    const char *found = head_value(head, len, name, &size);
    return found && size == strlen(value) && !strncasecmp(found, value, size);
}

enum BodyState { BODY_LENGTH, BODY_CLOSE, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, BODY_DONE, BODY_BAD };

struct Body {
    enum BodyState state;
    uint64_t left;   /* bytes of this body or chunk still to come */
    char line[64];   /* chunk size line or trailer line so far */
    size_t line_len;
};

typedef void (*BodySink)(void *owner, const char *data, size_t len);

static inline struct Body body_begins(const char *head, size_t len, bool is_answer) {
    struct Body body = {.state = BODY_LENGTH};
    size_t size;
    const char *value;
    if (head_says(head, len, "transfer-encoding", "chunked")) {
        body.state = CHUNK_SIZE;
    } else if ((value = head_value(head, len, "content-length", &size))) {
        body.left = strtoull(value, NULL, 10);
        if (body.left > MAX_BODY) body.state = BODY_BAD;
        else if (!body.left) body.state = BODY_DONE;
    } else {
        body.state = is_answer ? BODY_CLOSE : BODY_DONE;
    }
    return body;
}

static inline void chunk_line(struct Body *body) { /* a size line or trailer line is whole */
    body->line[body->line_len] = 0;
    if (body->state == TRAILER) {
        if (body->line_len <= 1) body->state = BODY_DONE; /* only the \r */
    } else {
        char *end;
        body->left = strtoull(body->line, &end, 16);
        if (end == body->line || body->left > MAX_BODY) body->state = BODY_BAD;
        else body->state = body->left ? CHUNK_DATA : TRAILER;
    }
    body->line_len = 0;
}

/* Feed received bytes; decoded ones go to `sink`. Returns how many were used: all, unless it ended. */
static inline size_t body_feed(struct Body *body, const char *data, size_t len, BodySink sink, void *owner) {
    size_t at = 0;
    while (at < len && body->state < BODY_DONE) {
        size_t rest = len - at, part;
        switch (body->state) {
        case BODY_CLOSE:
            sink(owner, data + at, rest);
            return len;
        case BODY_LENGTH:
        case CHUNK_DATA:
            part = rest < body->left ? rest : (size_t)body->left;
            sink(owner, data + at, part);
            at += part;
            body->left -= part;
            if (!body->left) body->state = body->state == CHUNK_DATA ? CHUNK_END : BODY_DONE;
            break;
        case CHUNK_END:
            if (data[at] == '\n') body->state = CHUNK_SIZE;
            else if (data[at] != '\r') body->state = BODY_BAD;
            at++;
            break;
        default: /* CHUNK_SIZE, TRAILER: collect a line, of which only the beginning matters */
            if (data[at] == '\n') chunk_line(body);
            else if (body->line_len < sizeof body->line - 1) body->line[body->line_len++] = data[at];
            at++;
        }
    }
    return at;
}

#endif
