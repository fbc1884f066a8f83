/*
 * A server that does nothing but write chunks on a known schedule, so that what a client measures can be held against
 * what was sent, and so that the client is what limits.
 *
 * In: HTTP/1.1 requests on 127.0.0.1. POST ../completions answers `max_tokens` chunks as OpenAI's stream does (one
 * server-sent event in one HTTP chunk each, running usage in every one of them, then the closing usage and [DONE]);
 * GET ../models a list of one; GET /clock the time of its clock; anything else 404.
 * Out: one ready line and, at the end, one line with what it did and what CPU time that took; both JSON.
 *
 *   chunk-server MODE [--gap-us N] [--together-us N] [--usage count|clock] [--seconds N] [--port N]
 *
 *   flood   all chunks of a request as fast as its socket takes them, in writes of up to 64 KiB
 *   paced   a chunk every gap in its own write; streams out of step (each begins at its own random part of a gap)
 *   single  as paced, with the streams evenly spread over the gap: the largest distance between any two writes
 *   step    all streams in the same tick of one clock, in one go, as an engine with continuous batching does
 *
 * `--together-us` lets the writes of paced streams that fall due within so short a time be made in one go, one after the
 * other, as they come out of a network card: waking for each costs a core of the machine that it shares with its client.
 * `--usage clock` makes the running count a chunk's time of writing (CLOCK_MONOTONIC in ns, which Node's process.hrtime
 * reads on Linux): the tokens that a client records per chunk then add up to when each was written.
 *
 * It ends by itself after --seconds, when its input is closed, or on SIGTERM. One thread: two cores have to do for it
 * and its client.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FD = 65536, IN_BYTES = 64 * 1024, OUT_BYTES = 64 * 1024, EVENT_BYTES = 1024, EVENTS = 1024 };
#define MAX_CHUNKS 10000000
#define NEVER INT64_MAX

typedef enum { FLOOD, PACED, SINGLE, STEP } Mode;

typedef struct {
  int fd;
  bool chat;
  int64_t asked, written; /* chunks of the answer under way; asked is 0 between two */
  int64_t due;            /* when its next chunk is to be written */
  int heap_at;            /* its place in the heap, -1 when it is not there */
  bool blocked;           /* the socket takes no more until epoll says so */
  size_t in_length, out_from, out_to;
  char in[IN_BYTES];
  char out[OUT_BYTES];
} Stream;

static Mode mode;
static bool usage_is_clock;
static int64_t gap_ns = 20000000;
static int64_t together_ns;
static int epoll_fd;
static Stream *streams[MAX_FD];
static Stream *heap[MAX_FD]; /* paced, single: by due; the others: any order, and all of it is looked at */
static int heap_size;
static int64_t begun; /* answers, which spreads their phases in `single` */
static int64_t requests, chunks, writes, turns;
static volatile sig_atomic_t stopped;

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- which stream is next: a binary heap by `due` ---- */

static void heap_put(int at, Stream *stream) {
  heap[at] = stream;
  stream->heap_at = at;
}

static void heap_up(int at) {
  Stream *stream = heap[at];
  for (int above; at > 0 && heap[above = (at - 1) / 2]->due > stream->due; at = above) heap_put(at, heap[above]);
  heap_put(at, stream);
}

static void heap_down(int at) {
  Stream *stream = heap[at];
  for (int below; (below = 2 * at + 1) < heap_size; at = below) {
    if (below + 1 < heap_size && heap[below + 1]->due < heap[below]->due) below++;
    if (heap[below]->due >= stream->due) break;
    heap_put(at, heap[below]);
  }
  heap_put(at, stream);
}

static void heap_add(Stream *stream) {
  heap_put(heap_size++, stream);
  heap_up(heap_size - 1);
}

static void heap_remove(Stream *stream) {
  int at = stream->heap_at;
  stream->heap_at = -1;
  Stream *last = heap[--heap_size];
  if (last == stream) return;
  heap_put(at, last);
  heap_up(at);
  heap_down(last->heap_at);
}

/* ---- sockets ---- */

static void close_stream(Stream *stream) {
  if (stream->heap_at >= 0) heap_remove(stream);
  streams[stream->fd] = NULL;
  close(stream->fd);
  free(stream);
}

/* Writes what is pending, as far as the socket takes it. The stream is gone afterwards if its connection is. */
static void flush(Stream *stream) {
  while (stream->out_from < stream->out_to) {
    ssize_t n = send(stream->fd, stream->out + stream->out_from, stream->out_to - stream->out_from, MSG_NOSIGNAL);
    writes++;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) {
      close_stream(stream);
      return;
    }
    if (n < 0) {
      stream->blocked = true;
      return;
    }
    stream->out_from += (size_t)n;
  }
  stream->blocked = false;
  stream->out_from = stream->out_to = 0;
}

/* ---- what is written ---- */

static char *put(char *at, const char *text) {
  size_t length = strlen(text);
  memcpy(at, text, length);
  return at + length;
}

static char *put_number(char *at, int64_t n) {
  char digits[24];
  int count = 0;
  do digits[count++] = (char)('0' + n % 10);
  while (n /= 10);
  while (count > 0) *at++ = digits[--count];
  return at;
}

static char *put_usage(char *at, int64_t count) {
  at = put(at, "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":");
  at = put_number(at, count);
  at = put(at, ",\"total_tokens\":");
  at = put_number(at, count + 3);
  return put(at, "}}\n\n");
}

/* One event as one HTTP chunk: its size in four hexadecimal digits, then itself. */
static char *framed(char *start, char *end) {
  static const char hex[] = "0123456789abcdef";
  unsigned size = (unsigned)(end - start - 6);
  for (int i = 3; i >= 0; i--, size >>= 4) start[i] = hex[size & 15];
  start[4] = '\r';
  start[5] = '\n';
  return put(end, "\r\n");
}

#define HEAD "\",\"created\":1700000000,\"model\":\"m\",\"choices\":["
#define TEXT_HEAD "data: {\"id\":\"cmpl-0123456789abcdef\",\"object\":\"text_completion" HEAD
#define CHAT_HEAD "data: {\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion.chunk" HEAD

static char *put_chunk(char *at, const Stream *stream, int64_t count, bool last) {
  char *start = at;
  at += 6;
  at = put(at, stream->chat ? CHAT_HEAD "{\"index\":0,\"delta\":{\"content\":\" token" : TEXT_HEAD "{\"index\":0,\"text\":\" token");
  at = put(at, stream->chat ? "\"},\"logprobs\":null,\"finish_reason\":" : "\",\"logprobs\":null,\"finish_reason\":");
  at = put(at, last ? "\"length\"}]," : "null}],");
  return framed(start, put_usage(at, count));
}

static char *put_closing(char *at, const Stream *stream, int64_t count) {
  char *start = at;
  at = put(at + 6, stream->chat ? CHAT_HEAD "]," : TEXT_HEAD "],");
  at = framed(start, put_usage(at, count));
  return put(at, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
}

static const char RESPONSE[] =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/* Appends the next chunk of the answer, and what begins or closes it. */
static void append_chunk(Stream *stream) {
  char *at = stream->out + stream->out_to;
  int64_t at_ns = usage_is_clock ? now_ns() : 0;
  if (stream->written == 0) at = put(at, RESPONSE);
  stream->written++;
  chunks++;
  int64_t count = usage_is_clock ? at_ns : stream->written;
  bool last = stream->written == stream->asked;
  at = put_chunk(at, stream, count, last);
  if (last) at = put_closing(at, stream, count);
  stream->out_to = (size_t)(at - stream->out);
  if (last) {
    stream->asked = 0;
    if (stream->heap_at >= 0) heap_remove(stream);
  }
}

static bool has_room(const Stream *stream) { return stream->out_to + 3 * EVENT_BYTES <= OUT_BYTES; }

static void write_chunk(Stream *stream) {
  if (has_room(stream)) append_chunk(stream); /* else its client reads nothing: it gets this chunk when it has */
  if (!stream->blocked) flush(stream);
}

/* ---- when it is written ---- */

static int64_t next_tick;

/* When there is something to write again; NEVER while nobody waits for anything. */
static int64_t next_due(void) {
  if (mode == STEP) return heap_size > 0 ? next_tick : NEVER;
  if (mode != FLOOD) return heap_size > 0 ? heap[0]->due + together_ns : NEVER;
  for (int i = 0; i < heap_size; i++)
    if (!heap[i]->blocked) return 0;
  return NEVER;
}

/* From the end, since an answer that ends, or whose client has gone, leaves its place to the last. */
static void flood_turn(void) {
  for (int i = heap_size - 1; i >= 0; i--) {
    if (i >= heap_size || heap[i]->blocked) continue;
    Stream *stream = heap[i];
    while (stream->asked > 0 && has_room(stream)) append_chunk(stream);
    flush(stream);
  }
}

static void step_turn(void) {
  for (int i = heap_size - 1; i >= 0; i--)
    if (i < heap_size) write_chunk(heap[i]);
  while (next_tick <= now_ns()) next_tick += gap_ns;
}

static void paced_turn(void) {
  while (heap_size > 0 && heap[0]->due <= now_ns()) {
    Stream *stream = heap[0];
    stream->due += gap_ns;
    heap_down(0);
    write_chunk(stream);
  }
}

static void write_what_is_due(void) {
  if (now_ns() < next_due()) return;
  if (mode == FLOOD) flood_turn();
  else if (mode == STEP) step_turn();
  else paced_turn();
}

/* ---- requests ---- */

static int64_t random_part(int64_t n) {
  static uint64_t state = 88172645463325252u; /* xorshift64, Marsaglia 2003 */
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (int64_t)(state % (uint64_t)n);
}

static void begin_answer(Stream *stream, int64_t asked, bool chat) {
  requests++;
  stream->asked = asked;
  stream->written = 0;
  stream->chat = chat;
  int64_t at = now_ns();
  /* Multiples of the golden ratio, here in units of 2^-32: however many streams there are, they are spread evenly. */
  uint64_t part = ((uint64_t)begun * 11400714819323198485u) >> 32;
  int64_t spread = (int64_t)(((unsigned __int128)part * (uint64_t)gap_ns) >> 32);
  begun++;
  if (mode == SINGLE) stream->due = (at / gap_ns + 1) * gap_ns + spread;
  if (mode == PACED) stream->due = at + random_part(gap_ns);
  if (mode == STEP && heap_size == 0) next_tick = (at / gap_ns + 1) * gap_ns;
  heap_add(stream);
}

static void answer_whole(Stream *stream, const char *status, const char *body) {
  stream->out_to += (size_t)sprintf(stream->out + stream->out_to,
                                    "HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s", status,
                                    strlen(body), body);
  flush(stream);
}

static bool path_ends(const char *path, size_t length, const char *end) {
  size_t n = strlen(end);
  return length >= n && memcmp(path + length - n, end, n) == 0;
}

/* `in` holds one whole request: `head` bytes of head, then its body, which ends with a zero. */
static void handle(Stream *stream, size_t head) {
  const char *space = memchr(stream->in, ' ', head);
  const char *path = space == NULL ? stream->in : space + 1;
  size_t length = strcspn(path, " ?\r");
  bool post = strncmp(stream->in, "POST ", 5) == 0, get = strncmp(stream->in, "GET ", 4) == 0;
  if (post && path_ends(path, length, "/completions")) {
    const char *asked = strstr(stream->in + head, "\"max_tokens\":");
    long n = asked == NULL ? 16 : strtol(asked + 13, NULL, 10);
    if (n >= 1 && n <= MAX_CHUNKS) begin_answer(stream, n, path_ends(path, length, "/chat/completions"));
    else answer_whole(stream, "400 Bad Request", "{\"error\":{\"message\":\"max_tokens must be 1 to 10000000\"}}");
  } else if (get && path_ends(path, length, "/models")) {
    answer_whole(stream, "200 OK", "{\"object\":\"list\",\"data\":[{\"id\":\"m\",\"object\":\"model\"}]}");
  } else if (get && path_ends(path, length, "/clock")) {
    char body[64];
    sprintf(body, "{\"monotonicNs\":%lld}", (long long)now_ns());
    answer_whole(stream, "200 OK", body);
  } else {
    answer_whole(stream, "404 Not Found", "{\"error\":{\"message\":\"only /models and /completions are here\"}}");
  }
}

/* Length of the whole request at the start of `in`, 0 when more of it has to come, -1 when it can't be one. */
static long request_length(Stream *stream, size_t *head) {
  stream->in[stream->in_length] = 0;
  char *end = strstr(stream->in, "\r\n\r\n");
  if (end == NULL) return stream->in_length + 1 < IN_BYTES ? 0 : -1;
  *head = (size_t)(end + 4 - stream->in);
  char *field = strcasestr(stream->in, "\r\ncontent-length:");
  long body = field != NULL && field < end ? strtol(field + 17, NULL, 10) : 0;
  if (body < 0 || *head + (size_t)body + 1 > IN_BYTES) return -1;
  return stream->in_length >= *head + (size_t)body ? (long)*head + body : 0;
}

static void readable(Stream *stream) {
  for (;;) {
    ssize_t n = recv(stream->fd, stream->in + stream->in_length, IN_BYTES - 1 - stream->in_length, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n <= 0) {
      close_stream(stream);
      return;
    }
    stream->in_length += (size_t)n;
    size_t head = 0;
    long length = request_length(stream, &head);
    if (length == 0) continue;
    /* One request at a time and no pipelining: the next comes when the answer has gone. */
    if (length < 0 || stream->asked > 0 || (size_t)length != stream->in_length) {
      close_stream(stream);
      return;
    }
    int fd = stream->fd;
    handle(stream, head);
    if (streams[fd] != stream) return;
    stream->in_length = 0;
  }
}

static void accept_all(int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    Stream *stream = fd < MAX_FD ? malloc(sizeof *stream) : NULL;
    if (stream == NULL) {
      close(fd);
      continue;
    }
    memset(stream, 0, offsetof(Stream, in)); /* its buffers' pages come when they are used */
    stream->fd = fd;
    stream->heap_at = -1;
    streams[fd] = stream;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
  }
}

/* ---- start and end ---- */

static void stop(int signal_number) {
  (void)signal_number;
  stopped = 1;
}

static void fail(const char *what) {
  fprintf(stderr, "chunk-server: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void usage(void) {
  fprintf(stderr, "usage: chunk-server flood|paced|single|step [--gap-us N] [--together-us N] [--usage count|clock] [--seconds N] [--port N]\n");
  exit(2);
}

static long number_of(const char *text, long least, long most) {
  char *end;
  long n = strtol(text, &end, 10);
  if (*text == 0 || *end != 0 || n < least || n > most) usage();
  return n;
}

static Mode mode_of(const char *name) {
  static const char *names[] = {"flood", "paced", "single", "step"};
  for (int i = 0; i < 4; i++)
    if (strcmp(name, names[i]) == 0) return (Mode)i;
  usage();
  return FLOOD;
}

static int listen_on(int *port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 4096) < 0) fail("cannot listen on 127.0.0.1");
  getsockname(fd, (struct sockaddr *)&address, &size);
  *port = ntohs(address.sin_port);
  return fd;
}

static void serve(int listener, int64_t until) {
  static struct epoll_event events[EVENTS];
  while (!stopped) {
    int64_t at = now_ns(), due = next_due();
    if (at >= until) return;
    if (due > until) due = until;
    int64_t wait = due > at ? due - at : 0;
    struct timespec timeout = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
    int count = epoll_pwait2(epoll_fd, events, EVENTS, &timeout, NULL);
    turns++;
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) accept_all(listener);
      else if (fd == STDIN_FILENO) {
        char nothing[64];
        if (read(fd, nothing, sizeof nothing) == 0) return;
      } else {
        if (streams[fd] != NULL && (events[i].events & EPOLLOUT) && streams[fd]->blocked) flush(streams[fd]);
        if (streams[fd] != NULL && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) readable(streams[fd]);
      }
    }
    write_what_is_due();
  }
}

int main(int argc, char **argv) {
  if (argc < 2 || argc % 2 != 0) usage();
  mode = mode_of(argv[1]);
  int64_t seconds = 60;
  int port = 0;
  for (int i = 2; i < argc; i += 2) {
    const char *name = argv[i], *value = argv[i + 1];
    if (strcmp(name, "--gap-us") == 0) gap_ns = 1000 * (int64_t)number_of(value, 1, 60000000);
    else if (strcmp(name, "--together-us") == 0) together_ns = 1000 * (int64_t)number_of(value, 0, 10000);
    else if (strcmp(name, "--seconds") == 0) seconds = number_of(value, 1, 3600);
    else if (strcmp(name, "--port") == 0) port = (int)number_of(value, 0, 65535);
    else if (strcmp(name, "--usage") == 0 && strcmp(value, "clock") == 0) usage_is_clock = true;
    else if (strcmp(name, "--usage") != 0 || strcmp(value, "count") != 0) usage();
  }
  signal(SIGTERM, stop);
  signal(SIGINT, stop);
  prctl(PR_SET_TIMERSLACK, 1UL); /* else waits are up to 50 us late */
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  int listener = listen_on(&port);
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &(struct epoll_event){.events = EPOLLIN, .data.fd = STDIN_FILENO});
  printf("{\"ready\":true,\"url\":\"http://127.0.0.1:%d/v1\",\"port\":%d}\n", port, port);
  fflush(stdout);

  int64_t start = now_ns();
  serve(listener, start + seconds * 1000000000);
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  printf("{\"seconds\":%.3f,\"userSeconds\":%.3f,\"systemSeconds\":%.3f,\"requests\":%lld,\"chunks\":%lld,\"writes\":%lld,\"turns\":%lld}\n",
         (double)(now_ns() - start) / 1e9, (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec / 1e6,
         (double)used.ru_stime.tv_sec + (double)used.ru_stime.tv_usec / 1e6, (long long)requests, (long long)chunks,
         (long long)writes, (long long)turns);
  return 0;
}
