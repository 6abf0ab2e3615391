/* A scripted model provider that costs next to nothing, so that what is measured is the gateway.
 *
 *   upstream --port 18101 --whole answer.json --events answer.sse --messages messages.json
 *
 * POST …/chat/completions   the bytes of --whole; with "stream":true the events of --events, one write each
 * POST …/messages           the bytes of --messages, as Anthropic's protocol has them; whole answers only
 * GET  /health              {"status":"ok"}
 * GET  /stats               {"whole":N,"streams":N,"left":N,"bad":N}: asked and whole; left mid-way; not understood
 * PUT  /script?delay_ms=50&gap_ms=10&fault=done&every=7   how to answer from now on (all default to 0)
 *
 * Faults, on every N-th answer: status (500), cut (closed half-way), text (a letter changed), done (no [DONE]).
 * Prints "listening PORT" when it is ready; ends with its parent or on SIGTERM. */
#define _GNU_SOURCE
#include "tool.h"

#include <signal.h>

#define MAX_EVENTS 4096     /* chosen: a script is 62 events */
#define MAX_CONNECTIONS 65536

enum Fault { NO_FAULT, FAULT_STATUS, FAULT_CUT, FAULT_TEXT, FAULT_DONE };
static const char *const fault_names[] = {"none", "status", "cut", "text", "done"};

struct Connection {
    int fd;
    struct Bytes in, body, out; /* received; decoded body; written by us, not yet by the kernel */
    struct Body frame;
    bool has_head, is_closing, is_waiting, is_stream, is_messages;
    enum Fault fault;
    size_t next_event;
    uint64_t due_ns;
    struct Connection *before, *after; /* the list of those that wait for their time */
    size_t head_len;
};

static struct {
    uint64_t delay_ns, gap_ns;
    enum Fault fault;
    uint64_t every;
} script;

static struct {
    uint64_t whole, streams, left, bad, answers;
} stats;

static struct Bytes whole, messages, events[MAX_EVENTS];
static size_t event_count;
static struct Connection *connections[MAX_CONNECTIONS];
static struct Connection *first_waiting, *last_waiting;
static int poller, timer;

static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    "transfer-encoding: chunked\r\n\r\n";

/* ---- time ---- */

static void wait_until(struct Connection *c, uint64_t due_ns) { /* keeps the list in order of time */
    struct Connection *after = last_waiting;
    c->due_ns = due_ns;
    c->is_waiting = true;
    while (after && after->due_ns > due_ns) after = after->before;
    c->before = after;
    c->after = after ? after->after : first_waiting;
    *(c->before ? &c->before->after : &first_waiting) = c;
    *(c->after ? &c->after->before : &last_waiting) = c;
    if (first_waiting == c) wake_at(timer, due_ns);
}

static void stop_waiting(struct Connection *c) {
    if (!c->is_waiting) return;
    *(c->before ? &c->before->after : &first_waiting) = c->after;
    *(c->after ? &c->after->before : &last_waiting) = c->before;
    c->is_waiting = false;
}

/* ---- writing ---- */

static void drop(struct Connection *c) {
    if (c->is_waiting) stats.left++;
    stop_waiting(c);
    connections[c->fd] = NULL;
    close(c->fd);
    free(c->in.data);
    free(c->body.data);
    free(c->out.data);
    free(c);
}

static void watch(struct Connection *c, uint32_t what) {
    struct epoll_event event = {.events = what, .data.fd = c->fd};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
}

static void put(struct Connection *c, const char *data, size_t len) { /* one write; the rest waits */
    ssize_t done = 0;
    if (!c->out.len) {
        done = send(c->fd, data, len, MSG_NOSIGNAL);
        if (done < 0) done = 0; /* a dead peer shows up in epoll */
    }
    if ((size_t)done < len) {
        bytes_add(&c->out, data + done, len - (size_t)done);
        watch(c, EPOLLIN | EPOLLOUT);
    }
}

static void reply(struct Connection *c, int status, const char *body, size_t len) {
    static struct Bytes answer;
    char head[160];
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n",
                        status, status == 200 ? "OK" : "Error", len);
    answer.len = 0;
    bytes_add(&answer, head, (size_t)size);
    bytes_add(&answer, body, len);
    if (c->fault == FAULT_CUT) answer.len = (size_t)size + len / 2;
    if (c->fault == FAULT_TEXT) {
        char *text = memmem(answer.data, answer.len, "\"content\":\"", 11);
        if (text) text[11] = '#';
    }
    put(c, answer.data, answer.len);
    if (c->fault == FAULT_CUT) {
        c->is_closing = true;
        shutdown(c->fd, SHUT_WR);
    }
}

static void finish(struct Connection *c) { /* ready for the next request on this connection */
    c->has_head = c->is_stream = c->is_messages = false;
    c->body.len = 0;
    c->fault = NO_FAULT;
}

/* Write the next event; false once the stream has ended. */
static bool next_event(struct Connection *c) {
    static struct Bytes part;
    struct Bytes *event = &events[c->next_event];
    bool is_last = c->next_event + 1 == event_count;
    char size[24];
    part.len = 0;
    if (!c->next_event) bytes_text(&part, STREAM_HEAD);
    if (c->fault == FAULT_CUT && c->next_event == event_count / 2) {
        c->is_closing = true;
        shutdown(c->fd, SHUT_WR);
        return false;
    }
    if (!(is_last && c->fault == FAULT_DONE)) {
        snprintf(size, sizeof size, "%zx\r\n", event->len);
        bytes_text(&part, size);
        bytes_add(&part, event->data, event->len);
        if (c->fault == FAULT_TEXT && c->next_event == event_count / 2) {
            char *text = memmem(part.data, part.len, "\"content\":\"", 11);
            if (text) text[11] = '#';
        }
        bytes_text(&part, "\r\n");
    }
    if (is_last) bytes_text(&part, "0\r\n\r\n");
    put(c, part.data, part.len);
    c->next_event++;
    return !is_last;
}

static void answer_now(struct Connection *c) {
    if (!c->is_stream) {
        stats.whole++;
        if (c->fault == FAULT_STATUS) {
            const char *body = "{\"error\":{\"message\":\"scripted failure\",\"type\":\"server_error\"}}";
            reply(c, 500, body, strlen(body));
        } else {
            const struct Bytes *answer = c->is_messages ? &messages : &whole;
            reply(c, 200, answer->data, answer->len);
        }
        finish(c);
        return;
    }
    while (next_event(c))
        if (script.gap_ns) {
            uint64_t base = c->due_ns ? c->due_ns : now_ns();
            wait_until(c, base + script.gap_ns);
            return;
        }
    stats.streams++;
    finish(c);
}

/* ---- requests ---- */

static bool asks_for_stream(const struct Bytes *body) {
    const char *at = memmem(body->data, body->len, "\"stream\"", 8);
    if (!at) return false;
    for (at += 8; *at == ' ' || *at == ':'; at++) {}
    return !strncmp(at, "true", 4);
}

static void chat(struct Connection *c) {
    stats.answers++;
    c->is_stream = !c->is_messages && asks_for_stream(&c->body);
    c->next_event = 0;
    c->due_ns = 0;
    c->fault = script.every && stats.answers % script.every == 0 ? script.fault : NO_FAULT;
    if (c->fault == FAULT_STATUS) c->is_stream = false;
    if (script.delay_ns) wait_until(c, now_ns() + script.delay_ns);
    else answer_now(c);
}

static uint64_t script_number(const char *query, const char *name) {
    const char *at = strstr(query, name);
    return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void set_script(const char *query) {
    const char *fault = strstr(query, "fault=");
    script.delay_ns = script_number(query, "delay_ms=") * 1000000u;
    script.gap_ns = script_number(query, "gap_ms=") * 1000000u;
    script.every = script_number(query, "every=");
    script.fault = NO_FAULT;
    for (int i = 1; fault && i <= FAULT_DONE; i++)
        if (!strncmp(fault + 6, fault_names[i], strlen(fault_names[i]))) script.fault = (enum Fault)i;
}

static void take_request(struct Connection *c, const char *line) {
    char text[160] = "{\"status\":\"ok\"}";
    c->is_messages = messages.len && strstr(line, "/messages ");
    if (!strncmp(line, "POST ", 5) && (c->is_messages || strstr(line, "/chat/completions "))) {
        chat(c);
        return;
    }
    if (!strncmp(line, "PUT /script", 11)) {
        set_script(line);
    } else if (!strncmp(line, "GET /stats ", 11)) {
        snprintf(text, sizeof text,
                 "{\"whole\":%llu,\"streams\":%llu,\"left\":%llu,\"bad\":%llu}",
                 (unsigned long long)stats.whole, (unsigned long long)stats.streams,
                 (unsigned long long)stats.left, (unsigned long long)stats.bad);
    } else if (strncmp(line, "GET /health ", 12)) {
        stats.bad++;
        reply(c, 404, "{}", 2);
        finish(c);
        return;
    }
    reply(c, 200, text, strlen(text));
    finish(c);
}

static void keep(void *owner, const char *data, size_t len) {
    struct Connection *c = owner;
    bytes_add(&c->body, data, len);
}

static bool begin_request(struct Connection *c) { /* false while the head is not whole, or on nonsense */
    c->head_len = head_length(&c->in);
    if (!c->head_len) {
        if (c->in.len > MAX_HEAD) c->is_closing = true;
        return false;
    }
    c->has_head = true;
    c->frame = body_begins(c->in.data, c->head_len, false);
    if (head_says(c->in.data, c->head_len, "expect", "100-continue"))
        put(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    return true;
}

/* Take one step through what was received; false when more bytes are needed. */
static bool step(struct Connection *c) {
    char line[512];
    size_t len, used, line_len;
    if (!c->has_head && !begin_request(c)) return false;
    used = body_feed(&c->frame, c->in.data + c->head_len, c->in.len - c->head_len, keep, c);
    if (c->frame.state == BODY_BAD || c->body.len > MAX_BODY) {
        stats.bad++;
        c->is_closing = true;
        return false;
    }
    if (c->frame.state != BODY_DONE) { /* keep the head: its first line says what was asked */
        c->in.len = c->head_len;
        return false;
    }
    line_len = (size_t)((char *)memchr(c->in.data, '\r', c->head_len) - c->in.data);
    len = line_len < sizeof line - 1 ? line_len : sizeof line - 1;
    memcpy(line, c->in.data, len);
    line[len] = 0;
    bytes_drop(&c->in, c->head_len + used);
    bytes_add(&c->body, "", 0);
    take_request(c, line);
    return c->in.len && !c->is_waiting && !c->is_closing;
}

static void receive(struct Connection *c) {
    static char part[262144];
    ssize_t got = recv(c->fd, part, sizeof part, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        drop(c);
        return;
    }
    if (got > 0) bytes_add(&c->in, part, (size_t)got);
    if (!c->is_waiting)
        while (step(c)) {}
    if (c->is_closing) drop(c);
}

static void flush(struct Connection *c) {
    ssize_t done = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);
    if (done > 0) bytes_drop(&c->out, (size_t)done);
    if (!c->out.len) watch(c, EPOLLIN);
}

/* ---- the loop ---- */

static void welcome(int listener) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (fd >= MAX_CONNECTIONS) {
            close(fd);
            continue;
        }
        without_delay(fd);
        connections[fd] = calloc(1, sizeof(struct Connection));
        if (!connections[fd]) die("out of memory");
        connections[fd]->fd = fd;
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

static void serve_due(void) {
    uint64_t ignored, now = now_ns();
    if (read(timer, &ignored, sizeof ignored) < 0 && errno != EAGAIN) die("timer failed");
    while (first_waiting && first_waiting->due_ns <= now) {
        struct Connection *c = first_waiting;
        stop_waiting(c);
        answer_now(c);
        if (c->is_closing) drop(c);
        else if (!c->is_waiting && c->in.len)
            while (step(c)) {}
    }
    wake_at(timer, first_waiting ? first_waiting->due_ns : 0);
}

static void split_events(const struct Bytes *file) { /* blocks that end in a blank line */
    const char *at = file->data, *end;
    while ((end = strstr(at, "\n\n")) && event_count < MAX_EVENTS) {
        bytes_add(&events[event_count++], at, (size_t)(end - at) + 2);
        at = end + 2;
    }
    if (!event_count) die("--events holds no event (blocks that end in a blank line)");
}

static int listen_on(int port) {
    struct sockaddr_in address = loopback("127.0.0.1", port);
    socklen_t size = sizeof address;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096))
        die("cannot listen on 127.0.0.1:%d: %s", port, strerror(errno));
    getsockname(fd, (struct sockaddr *)&address, &size);
    printf("listening %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void add(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static void serve(int listener) {
    struct epoll_event ready[256];
    for (;;) {
        int count = epoll_wait(poller, ready, 256, -1);
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener) welcome(listener);
            else if (fd == timer) serve_due();
            else {
                if (connections[fd] && ready[i].events & EPOLLOUT) flush(connections[fd]);
                if (connections[fd] && ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                    receive(connections[fd]);
            }
        }
    }
}

int main(int argc, char **argv) {
    int port = 0, listener;
    struct Bytes file;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--port")) port = (int)number_option(argv[i], argv[i + 1], 0, 65535);
        else if (!strcmp(argv[i], "--whole")) whole = bytes_of_file(argv[i + 1]);
        else if (!strcmp(argv[i], "--messages")) messages = bytes_of_file(argv[i + 1]);
        else if (!strcmp(argv[i], "--events")) file = bytes_of_file(argv[i + 1]), split_events(&file);
        else die("unknown option %s", argv[i]);
    }
    if (!whole.len || !event_count) die("usage: upstream --port PORT --whole FILE --events FILE");
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_TIMERSLACK, 1000); /* 1 us: paced events leave on time */
    poller = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    listener = listen_on(port);
    add(listener);
    add(timer);
    serve(listener);
}
