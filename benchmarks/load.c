/* Bounded load on a gateway on this machine; every answer is checked whole.
 *
 *   load --port 8080 --path /v1/chat/completions --header 'authorization: Bearer sk-…' --body request.json
 *        --text answer.txt --requests 20000 --seconds 10 --connections 32            (closed loop)
 *        --rate 2000                                                                 (open loop)
 *        --stream 1 --events 62                                                      (server-sent events)
 *        --messages 1                                         (the events are those of Anthropic's protocol)
 *
 * An answer is right when its status is 200, its body is whole by its own framing, and
 *   whole:   it is one JSON object in which the text of --text stands unbroken;
 *   stream:  the "content" of its events joined is the text of --text, the last event is [DONE] and, where
 *            --events is given, the count is exact; with --messages it is the "text" of the events, and
 *            the last one is message_stop.
 * Everything else is a fault; the first is kept. In the body, @@@@@@@@@@@@ (12) becomes a different word of
 * twelve letters per request, so that no cache can answer; --first gives the number it starts from.
 *
 * Closed loop: each connection sends when its answer is in. Open loop: requests are due at fixed times
 * whatever the gateway does, and latency counts from the due time (no coordinated omission).
 * Times are in microseconds. Prints one JSON object; exit status 0 also with faults (they are in it). */
#define _GNU_SOURCE
#include "tool.h"

#define MAX_REQUESTS 5000000
#define MAX_SAMPLES 20000000
#define MAX_CONNECTIONS 20000
#define COUNTER "@@@@@@@@@@@@"
#define GIVE_UP 200 /* chosen: so many faults with no right answer between them end the run */

enum Why { CONNECT, STATUS, FRAMING, BODY, EVENTS, DONE, CUT, TIMEOUT, WHYS };
static const char *const why_names[] = {"connect", "status", "framing", "body", "events", "done", "cut", "timeout"};

struct Samples {
    float *us;
    size_t len, cap;
};

struct Connection {
    int fd; /* -1 closed */
    bool is_busy, is_connected, has_head, is_ending, is_last, has_done;
    uint64_t due_ns, first_ns, event_ns, deadline_ns;
    size_t written;
    struct Bytes request, in, answer, line;
    struct Body body;
    unsigned events, reads;
    bool has_event_in_read;
};

static struct {
    struct sockaddr_in address;
    const char *host, *path, *method;
    struct Bytes headers, body, text;
    unsigned requests, connections, events;
    double seconds, rate, timeout_s;
    uint64_t first;
    bool is_stream, is_messages;
} options = {.host = "127.0.0.1", .path = "/v1/chat/completions", .method = "POST", .requests = 1000,
             .connections = 1, .seconds = 30, .timeout_s = 20};

static struct Samples latencies, firsts, gaps;
static uint64_t started_ns, stop_ns, ended_ns;
static uint64_t sent, answers, faults[WHYS], fault_count, since_right, bytes_in, opened, events_seen, reads_seen;
static unsigned fewest_events = ~0u, most_events;
static struct Bytes request, first_fault;
static size_t counter_at;
static bool has_counter;
static struct Connection *connections;
static unsigned *idle, idle_count;
static int poller, timer;

/* ---- samples ---- */

static void sample(struct Samples *s, uint64_t ns) {
    if (s->len == MAX_SAMPLES) return;
    if (s->len == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 4096;
        s->us = realloc(s->us, s->cap * sizeof *s->us);
        if (!s->us) die("out of memory");
    }
    s->us[s->len++] = (float)ns / 1000.0f;
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void print_samples(const char *name, struct Samples *s) {
    double sum = 0;
    if (!s->len) return;
    qsort(s->us, s->len, sizeof *s->us, by_size);
    for (size_t i = 0; i < s->len; i++) sum += s->us[i];
#define AT(p) s->us[(size_t)((double)(s->len - 1) * (p))]
    printf(",\"%s\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f,\"mean\":%.1f}", name, AT(0.5), AT(0.9),
           AT(0.99), AT(1.0), sum / (double)s->len);
}

/* ---- what is sent ---- */

static void build_request(void) {
    char head[1024];
    snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nhost: %s:%d\r\ncontent-type: application/json\r\n", options.method,
             options.path, options.host, ntohs(options.address.sin_port));
    bytes_text(&request, head);
    if (options.headers.len) bytes_add(&request, options.headers.data, options.headers.len);
    snprintf(head, sizeof head, "content-length: %zu\r\n\r\n", options.body.len);
    bytes_text(&request, head);
    if (options.body.len) {
        char *mark = memmem(options.body.data, options.body.len, COUNTER, sizeof COUNTER - 1);
        has_counter = mark != NULL;
        if (mark) counter_at = request.len + (size_t)(mark - options.body.data);
        bytes_add(&request, options.body.data, options.body.len);
    }
}

static void number_request(struct Connection *c) { /* twelve letters that no other request has */
    uint64_t number = options.first + sent;
    for (int i = (int)sizeof COUNTER - 2; has_counter && i >= 0; i--, number /= 26)
        c->request.data[counter_at + (size_t)i] = (char)('a' + number % 26);
}

/* ---- connections ---- */

static void watch(struct Connection *c, int how, uint32_t what) {
    struct epoll_event event = {.events = what, .data.u32 = (uint32_t)(c - connections)};
    epoll_ctl(poller, how, c->fd, &event);
}

static void open_connection(struct Connection *c) {
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("cannot open a socket: %s", strerror(errno));
    without_delay(c->fd);
    c->is_connected = false;
    c->in.len = 0;
    opened++;
    if (connect(c->fd, (struct sockaddr *)&options.address, sizeof options.address) == 0) c->is_connected = true;
    watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

static void close_connection(struct Connection *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

static void set_free(struct Connection *c) {
    c->is_busy = false;
    idle[idle_count++] = (unsigned)(c - connections);
}

static void fault(struct Connection *c, enum Why why) {
    faults[why]++;
    fault_count++;
    since_right++;
    if (!first_fault.len) {
        bytes_text(&first_fault, why_names[why]);
        bytes_text(&first_fault, ": ");
        bytes_add(&first_fault, c->in.data ? c->in.data : "", c->in.len < 300 ? c->in.len : 300);
        bytes_add(&first_fault, c->answer.data ? c->answer.data : "", c->answer.len < 500 ? c->answer.len : 500);
    }
    close_connection(c);
    set_free(c);
}

static void write_request(struct Connection *c) {
    while (c->written < c->request.len) {
        ssize_t done = send(c->fd, c->request.data + c->written, c->request.len - c->written, MSG_NOSIGNAL);
        if (done < 0) {
            if (errno != EAGAIN && errno != EINTR) fault(c, CUT);
            else watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return;
        }
        c->written += (size_t)done;
    }
}

static void send_request(struct Connection *c, uint64_t due_ns) {
    c->is_busy = true;
    c->has_head = c->is_ending = c->has_done = false;
    c->due_ns = due_ns;
    c->deadline_ns = now_ns() + (uint64_t)(options.timeout_s * 1e9);
    c->first_ns = c->event_ns = 0;
    c->events = c->reads = 0;
    c->written = c->answer.len = c->line.len = 0;
    number_request(c);
    sent++;
    if (c->fd < 0) open_connection(c);
    if (c->is_connected) write_request(c);
}

/* ---- answers ---- */

static void add_content(struct Connection *c, const char *event, size_t len) {
    const char *name = options.is_messages ? "\"text\"" : "\"content\"";
    const char *at = memmem(event, len, name, strlen(name)), *end = event + len, *from;
    if (!at) return;
    for (at += strlen(name); at < end && (*at == ' ' || *at == ':'); at++) {}
    if (at == end || *at != '"') return; /* null */
    for (from = ++at; at < end && *at != '"'; at++) {}
    bytes_add(&c->answer, from, (size_t)(at - from));
}

static void take_event(struct Connection *c, const char *data, size_t len) {
    uint64_t now = now_ns();
    if (!c->first_ns) c->first_ns = now;
    else sample(&gaps, now - c->event_ns);
    c->event_ns = now;
    c->events++;
    c->has_event_in_read = true;
    c->has_done = options.is_messages ? memmem(data, len, "\"message_stop\"", 14) != NULL
                                      : len == 6 && !memcmp(data, "[DONE]", 6);
    if (!c->has_done) add_content(c, data, len);
}

static void take_line(struct Connection *c) {
    size_t len = c->line.len;
    while (len && (c->line.data[len - 1] == '\r' || c->line.data[len - 1] == '\n')) len--;
    if (len > 5 && !memcmp(c->line.data, "data:", 5)) {
        size_t from = c->line.data[5] == ' ' ? 6 : 5;
        take_event(c, c->line.data + from, len - from);
    }
    c->line.len = 0;
}

static void take_body(void *owner, const char *data, size_t len) {
    struct Connection *c = owner;
    if (!options.is_stream || c->is_ending) {
        bytes_add(&c->answer, data, len);
        return;
    }
    while (len) {
        const char *end = memchr(data, '\n', len);
        size_t part = end ? (size_t)(end - data) + 1 : len;
        bytes_add(&c->line, data, part);
        if (end) take_line(c);
        data += part;
        len -= part;
    }
}

static bool has_json_with_text(const struct Bytes *answer) {
    size_t from = 0, to = answer->len;
    while (from < to && strchr(" \r\n\t", answer->data[from])) from++;
    while (to > from && strchr(" \r\n\t", answer->data[to - 1])) to--;
    return to > from + 1 && answer->data[from] == '{' && answer->data[to - 1] == '}' &&
           (!options.text.len || memmem(answer->data, answer->len, options.text.data, options.text.len));
}

static void judge(struct Connection *c) { /* the body is whole */
    uint64_t now = now_ns();
    if (options.is_stream) {
        if (!c->has_done) { fault(c, DONE); return; }
        if (options.text.len &&
            (c->answer.len != options.text.len || memcmp(c->answer.data, options.text.data, c->answer.len))) {
            fault(c, BODY);
            return;
        }
        if (options.events && c->events != options.events) { fault(c, EVENTS); return; }
        sample(&firsts, c->first_ns - c->due_ns);
        events_seen += c->events;
        reads_seen += c->reads;
        if (c->events < fewest_events) fewest_events = c->events;
        if (c->events > most_events) most_events = c->events;
    } else if (!has_json_with_text(&c->answer)) {
        fault(c, BODY);
        return;
    }
    answers++;
    since_right = 0;
    sample(&latencies, now - c->due_ns);
    if (c->is_last) close_connection(c);
    set_free(c);
}

static bool take_head(struct Connection *c) { /* false until it is whole, or on a fault */
    size_t len = head_length(&c->in);
    int status;
    if (!len) {
        if (c->in.len > MAX_HEAD) fault(c, FRAMING);
        return false;
    }
    if (len < 16 || memcmp(c->in.data, "HTTP/1.", 7)) { fault(c, FRAMING); return false; }
    status = atoi(c->in.data + 9);
    if (status / 100 == 1) {
        bytes_drop(&c->in, len);
        return take_head(c);
    }
    c->has_head = true;
    c->is_last = head_says(c->in.data, len, "connection", "close");
    c->body = body_begins(c->in.data, len, true);
    c->is_ending = status != 200; /* then the body is kept as it is, for the report */
    bytes_drop(&c->in, len);
    return true;
}

static void take(struct Connection *c) {
    size_t used;
    if (!c->is_busy) { /* bytes that nobody asked for */
        faults[FRAMING]++;
        fault_count++;
        close_connection(c);
        return;
    }
    if (!c->has_head && !take_head(c)) return;
    c->has_event_in_read = false;
    used = body_feed(&c->body, c->in.data, c->in.len, take_body, c);
    bytes_drop(&c->in, used);
    c->reads += c->has_event_in_read;
    if (c->answer.len > MAX_BODY || c->body.state == BODY_BAD) { fault(c, FRAMING); return; }
    if (c->body.state != BODY_DONE) return;
    if (c->is_ending) fault(c, STATUS);
    else if (c->in.len) fault(c, FRAMING);
    else judge(c);
}

static void take_end(struct Connection *c) { /* the gateway closed the connection */
    if (!c->is_busy) {
        close_connection(c); /* it may: the next request opens another */
    } else if (!c->is_connected) {
        fault(c, CONNECT);
    } else if (c->has_head && c->body.state == BODY_CLOSE && !c->is_ending) {
        close_connection(c);
        judge(c);
    } else {
        fault(c, c->has_head && c->is_ending ? STATUS : CUT);
    }
}

static void receive(struct Connection *c) {
    static char part[262144];
    ssize_t got = recv(c->fd, part, sizeof part, 0);
    if (got > 0) {
        bytes_in += (uint64_t)got;
        bytes_add(&c->in, part, (size_t)got);
        take(c);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        take_end(c);
    }
}

static void on_ready(struct Connection *c, uint32_t events) {
    if (c->fd < 0) return;
    if (events & EPOLLOUT && !(events & (EPOLLERR | EPOLLHUP))) {
        c->is_connected = true;
        watch(c, EPOLL_CTL_MOD, EPOLLIN);
        if (c->is_busy) write_request(c);
    }
    if (c->fd >= 0 && events & (EPOLLIN | EPOLLERR | EPOLLHUP)) receive(c);
}

/* ---- the run ---- */

static bool may_send(uint64_t now) {
    return sent < options.requests && now < stop_ns && since_right < GIVE_UP;
}

static uint64_t next_due(void) { return started_ns + (uint64_t)((double)sent * 1e9 / options.rate); }

static void send_what_is_due(void) {
    uint64_t now = now_ns();
    while (idle_count && may_send(now)) {
        uint64_t due = options.rate > 0 ? next_due() : now;
        if (due > now) {
            wake_at(timer, due);
            return;
        }
        send_request(&connections[idle[--idle_count]], due);
        now = now_ns();
    }
}

static void sweep(uint64_t now) {
    for (unsigned i = 0; i < options.connections; i++)
        if (connections[i].is_busy && connections[i].deadline_ns < now) fault(&connections[i], TIMEOUT);
}

static void run(void) {
    struct epoll_event ready[512];
    uint64_t swept = now_ns(), ignored;
    send_what_is_due();
    while (idle_count < options.connections || may_send(now_ns())) {
        int count = epoll_wait(poller, ready, 512, 50);
        uint64_t now;
        for (int i = 0; i < count; i++) {
            if (ready[i].data.u32 == UINT32_MAX) {
                if (read(timer, &ignored, sizeof ignored) < 0 && errno != EAGAIN) die("timer failed");
            } else {
                on_ready(&connections[ready[i].data.u32], ready[i].events);
            }
        }
        send_what_is_due();
        if ((now = now_ns()) - swept > 100000000u) {
            sweep(now);
            swept = now;
        }
    }
    ended_ns = now_ns();
}

static void prepare(void) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
    poller = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event);
    connections = calloc(options.connections, sizeof *connections);
    idle = calloc(options.connections, sizeof *idle);
    if (!connections || !idle) die("out of memory");
    for (unsigned i = options.connections; i-- > 0;) {
        connections[i].fd = -1;
        bytes_add(&connections[i].request, request.data, request.len);
        idle[idle_count++] = i;
    }
    prctl(PR_SET_TIMERSLACK, 1000); /* 1 us: requests are sent when they are due */
    prctl(PR_SET_PDEATHSIG, 9);
    started_ns = now_ns();
    stop_ns = started_ns + (uint64_t)(options.seconds * 1e9);
}

static void print_text(const struct Bytes *text) {
    putchar('"');
    for (size_t i = 0; i < text->len; i++) {
        unsigned char letter = (unsigned char)text->data[i];
        if (letter == '"' || letter == '\\') printf("\\%c", letter);
        else if (letter < 32 || letter > 126) printf("\\u%04x", letter);
        else putchar(letter);
    }
    putchar('"');
}

static void report(void) {
    double took = (double)(ended_ns - started_ns) / 1e9;
    printf("{\"answers\":%llu,\"faults\":%llu,\"sent\":%llu,\"seconds\":%.4f,\"rps\":%.1f,\"bytes\":%llu,"
           "\"connections\":%u,\"opened\":%llu",
           (unsigned long long)answers, (unsigned long long)fault_count, (unsigned long long)sent, took,
           (double)answers / took, (unsigned long long)bytes_in, options.connections, (unsigned long long)opened);
    printf(",\"fault_kinds\":{");
    for (int i = 0, some = 0; i < WHYS; i++)
        if (faults[i]) printf("%s\"%s\":%llu", some++ ? "," : "", why_names[i], (unsigned long long)faults[i]);
    printf("}");
    print_samples("latency_us", &latencies);
    print_samples("first_event_us", &firsts);
    print_samples("gap_us", &gaps);
    if (options.is_stream && answers)
        printf(",\"events\":%llu,\"fewest_events\":%u,\"most_events\":%u,\"reads_per_stream\":%.1f",
               (unsigned long long)events_seen, fewest_events, most_events, (double)reads_seen / (double)answers);
    if (first_fault.len) {
        printf(",\"first_fault\":");
        print_text(&first_fault);
    }
    printf("}\n");
}

static void set_option(const char *name, const char *value, int *port) {
    if (!strcmp(name, "--port")) *port = (int)number_option(name, value, 1, 65535);
    else if (!strcmp(name, "--host")) options.host = value;
    else if (!strcmp(name, "--path")) options.path = value;
    else if (!strcmp(name, "--method")) options.method = value;
    else if (!strcmp(name, "--header")) bytes_text(&options.headers, value), bytes_text(&options.headers, "\r\n");
    else if (!strcmp(name, "--body")) options.body = bytes_of_file(value);
    else if (!strcmp(name, "--text")) options.text = bytes_of_file(value);
    else if (!strcmp(name, "--requests")) options.requests = (unsigned)number_option(name, value, 1, MAX_REQUESTS);
    else if (!strcmp(name, "--connections"))
        options.connections = (unsigned)number_option(name, value, 1, MAX_CONNECTIONS);
    else if (!strcmp(name, "--seconds")) options.seconds = number_option(name, value, 0.01, 3600);
    else if (!strcmp(name, "--timeout")) options.timeout_s = number_option(name, value, 0.01, 600);
    else if (!strcmp(name, "--rate")) options.rate = number_option(name, value, 0, 1000000);
    else if (!strcmp(name, "--stream")) options.is_stream = number_option(name, value, 0, 1) > 0;
    else if (!strcmp(name, "--messages")) options.is_messages = number_option(name, value, 0, 1) > 0;
    else if (!strcmp(name, "--events")) options.events = (unsigned)number_option(name, value, 0, 100000);
    else if (!strcmp(name, "--first")) options.first = (uint64_t)number_option(name, value, 0, 9e15);
    else die("unknown option %s", name);
}

int main(int argc, char **argv) {
    int port = 0;
    for (int i = 1; i + 1 < argc; i += 2) set_option(argv[i], argv[i + 1], &port);
    if (!port || argc % 2 == 0) die("usage: load --port PORT [--path P] [--header H] [--body FILE] …");
    options.address = loopback(options.host, port);
    build_request();
    prepare();
    run();
    report();
    return 0;
}
