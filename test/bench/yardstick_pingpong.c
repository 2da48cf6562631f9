// SPDX-License-Identifier: BSD-3-Clause
//
// A yardstick: the round trip of two processes over loopback TCP, written as plainly as C allows,
// with the sizes of our own frames: a 64-byte write and its flush are 140 bytes there, the answer
// is 36 back. The parent asks and measures, a forked child answers; either blocks in recv() or
// spins. The processes share nothing but the connection.
// Prints one line of JSON: microseconds.
//
//   yardstick_pingpong [--count N] [--warm-up N] [--spin] [--there BYTES] [--back BYTES]
//                      [--cpu-server N] [--cpu-client N]
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kMessageBytesMax = 65536, kAcceptTimeoutMs = 5000 };

struct options {
  long count;
  long warm_up;
  bool spin;
  size_t there_bytes;
  size_t back_bytes;
  int cpu_server;  // -1: anywhere
  int cpu_client;
};

static void fail(const char* what) {
  fprintf(stderr, "yardstick_pingpong: %s: %s\n", what, strerror(errno));
  exit(1);
}

static long number_of(const char* text, long min, long max) {
  char* end = NULL;
  errno = 0;
  const long value = strtol(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || value < min || value > max) {
    fprintf(stderr, "yardstick_pingpong: not a number from %ld to %ld: %s\n", min, max, text);
    exit(2);
  }
  return value;
}

static struct options parse_options(int argc, char** argv) {
  struct options options = {20000, 2000, false, 140, 36, -1, -1};
  for (int at = 1; at < argc; ++at) {
    const char* name = argv[at];
    if (strcmp(name, "--spin") == 0) {
      options.spin = true;
      continue;
    }
    if (at + 1 == argc) {
      fprintf(stderr, "yardstick_pingpong: unknown option or no value: %s\n", name);
      exit(2);
    }
    const char* value = argv[++at];
    if (strcmp(name, "--count") == 0) {
      options.count = number_of(value, 1, 100000000);
    } else if (strcmp(name, "--warm-up") == 0) {
      options.warm_up = number_of(value, 0, 100000000);
    } else if (strcmp(name, "--there") == 0) {
      options.there_bytes = (size_t)number_of(value, 1, kMessageBytesMax);
    } else if (strcmp(name, "--back") == 0) {
      options.back_bytes = (size_t)number_of(value, 1, kMessageBytesMax);
    } else if (strcmp(name, "--cpu-server") == 0) {
      options.cpu_server = (int)number_of(value, 0, CPU_SETSIZE - 1);
    } else if (strcmp(name, "--cpu-client") == 0) {
      options.cpu_client = (int)number_of(value, 0, CPU_SETSIZE - 1);
    } else {
      fprintf(stderr, "yardstick_pingpong: unknown option: %s\n", name);
      exit(2);
    }
  }
  return options;
}

static void pin(int cpu) {
  if (cpu < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((unsigned)cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) fail("sched_setaffinity");
}

static void send_nothing_late(int fd) {
  const int on = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) fail("TCP_NODELAY");
}

// False at the end of the stream.
static bool receive_all(int fd, char* buffer, size_t size, bool spin) {
  size_t done = 0;
  while (done < size) {
    const ssize_t got = recv(fd, buffer + done, size - done, spin ? MSG_DONTWAIT : 0);
    if (got > 0) {
      done += (size_t)got;
    } else if (got == 0) {
      return false;
    } else if (errno != EAGAIN && errno != EINTR) {
      fail("recv");
    }
  }
  return true;
}

static void send_all(int fd, const char* buffer, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t sent = send(fd, buffer + done, size - done, MSG_NOSIGNAL);
    if (sent > 0) {
      done += (size_t)sent;
    } else if (errno != EAGAIN && errno != EINTR) {
      fail("send");
    }
  }
}

static int make_listener(struct sockaddr_in* address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  memset(address, 0, sizeof *address);
  address->sin_family = AF_INET;
  address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof *address;
  if (bind(fd, (const struct sockaddr*)address, size) != 0 || listen(fd, 1) != 0 ||
      getsockname(fd, (struct sockaddr*)address, &size) != 0) {
    fail("listen");
  }
  return fd;
}

static int accept_one(int listener) {
  struct pollfd wait = {.fd = listener, .events = POLLIN};
  if (poll(&wait, 1, kAcceptTimeoutMs) != 1) fail("nobody connected");
  const int fd = accept(listener, NULL, NULL);
  if (fd < 0) fail("accept");
  return fd;
}

static void serve(const struct sockaddr_in* address, const struct options* options) {
  static char buffer[kMessageBytesMax];
  pin(options->cpu_server);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  if (connect(fd, (const struct sockaddr*)address, sizeof *address) != 0) fail("connect");
  send_nothing_late(fd);
  while (receive_all(fd, buffer, options->there_bytes, options->spin)) {
    send_all(fd, buffer, options->back_bytes);
  }
  close(fd);
}

static double now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void* left, const void* right) {
  const double a = *(const double*)left;
  const double b = *(const double*)right;
  return (a > b) - (a < b);
}

static void report(double* samples, long count, const struct options* options) {
  double sum = 0;
  for (long at = 0; at < count; ++at) sum += samples[at];
  qsort(samples, (size_t)count, sizeof *samples, compare);
  printf("{\"name\":\"pingpong_%s\",\"unit\":\"us\",\"min\":%.3f,\"median\":%.3f,\"p99\":%.3f,"
         "\"max\":%.3f,\"mean\":%.3f,\"count\":%ld}\n",
         options->spin ? "spinning" : "blocking", samples[0], samples[count / 2],
         samples[(long)((double)(count - 1) * 0.99)], samples[count - 1], sum / (double)count,
         count);
}

static void measure(int fd, const struct options* options) {
  static char buffer[kMessageBytesMax];
  double* samples = calloc((size_t)options->count, sizeof *samples);
  if (samples == NULL) fail("calloc");
  for (long round = -options->warm_up; round < options->count; ++round) {
    const double started = now_us();
    send_all(fd, buffer, options->there_bytes);
    if (!receive_all(fd, buffer, options->back_bytes, options->spin)) {
      errno = ECONNRESET;
      fail("the other side left");
    }
    if (round >= 0) samples[round] = now_us() - started;
  }
  report(samples, options->count, options);
  free(samples);
}

int main(int argc, char** argv) {
  const struct options options = parse_options(argc, argv);
  struct sockaddr_in address;
  const int listener = make_listener(&address);
  const pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    // The child must not outlive a parent that was killed.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(listener);
    serve(&address, &options);
    return 0;
  }
  pin(options.cpu_client);
  const int fd = accept_one(listener);
  send_nothing_late(fd);
  measure(fd, &options);
  close(fd);
  close(listener);
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) return 1;
  return 0;
}
